#!/usr/bin/env bash
# curl: the answers as they came, on one line each.
set -euo pipefail

# snippet: curl
call() {
  curl -s "http://127.0.0.1:8080/v1/images/$1" -H "Authorization: Bearer sk-test" "${@:2}"
}

generate() {
  call generations -H "Content-Type: application/json" "$@"
}
# end
edit() {
  call edits -F model=gpt-image-2 -F quality=low "$@"
}
answer() {
  printf '{"operation": "%s", "answer": %s}\n' "$1" "$(tr -d '\n')"
}

generate -d '{"model": "gpt-image-2", "prompt": "A lighthouse"}' | answer generate
edit -F prompt="By night" -F image=@lighthouse.png | answer edit
edit -F prompt="A red door" -F image=@lighthouse.png -F mask=@mask.png | answer mask
edit -F prompt="Both on one shelf" -F "image[]=@lighthouse.png" -F "image[]=@harbour.png" \
  | answer inputs
generate -N -d '{"model": "gpt-image-2", "prompt": "A ship", "stream": true, "partial_images": 2}' \
  > events
printf '{"operation": "stream", "events": [%s], "answer": {"data": [%s]}}\n' \
  "$(sed -n 's/^event: \(.*\)/"\1"/p' events | paste -s -d ,)" \
  "$(sed -n 's/^data: //p' events | tail -n 1)"
generate -d '{"model": "gpt-image-2", "prompt": "A mistake", "size": "1000x1000"}' \
  -w '\n{"status": %{http_code}}' > refusal
printf '{"operation": "error", "answer": %s, "status": %s}\n' \
  "$(head -n -1 refusal | tr -d '\n')" "$(tail -n 1 refusal | tr -dc 0-9)"
generate --retry 1 -d '{"model": "gpt-image-2", "prompt": "A rate limit"}' -o retried
answer retry < retried
