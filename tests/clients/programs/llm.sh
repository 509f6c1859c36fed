#!/usr/bin/env bash
# simonw/llm with llm-openai-images.
set -uo pipefail

# snippet: llm
export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=sk-test

draw() {
  llm -m openai/gpt-image-1.5 "$@"
}
# end
picture() {
  local operation=$1
  if draw "${@:2}" -o output "$operation.png" >&2; then
    printf '{"operation": "%s", "images": ["%s"]}\n' "$operation" "$(base64 -w 0 "$operation.png")"
  else
    printf '{"operation": "%s", "raised": "llm has failed"}\n' "$operation"
  fi
}
cannot() {
  printf '{"operation": "%s", "cannot": "%s"}\n' "$@"
}

picture generate "A lighthouse"
picture edit "By night" -a lighthouse.png
cannot mask "\`llm-openai-images\` sends attachments as pictures, none of them as the mask"
picture inputs "Both on one shelf" -a lighthouse.png -a harbour.png
cannot stream "\`llm-openai-images\` has \`can_stream = False\`"
draw "A mistake [[emulator: moderation_blocked]]" 2> error
python -c 'import json; print(json.dumps({"operation": "error", "message": open("error").read()}))'
picture retry "A rate limit"
