// Go's net/http.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strings"
)

type object map[string]any

// snippet: Go's net/http
func call(operation, contentType string, body io.Reader) *http.Response {
	request, err := http.NewRequest("POST", "http://127.0.0.1:8080/v1/images/"+operation, body)
	check(err)
	request.Header.Set("Authorization", "Bearer sk-test")
	request.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	return answer
}

func generate(parameters object) *http.Response {
	parameters["model"] = "gpt-image-2"
	body, err := json.Marshal(parameters)
	check(err)
	return call("generations", "application/json", bytes.NewReader(body))
}

// end

// edit sends files, which are pairs of a field and a file.
func edit(prompt string, files ...string) *http.Response {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	check(form.WriteField("model", "gpt-image-2"))
	check(form.WriteField("prompt", prompt))
	for i := 0; i < len(files); i += 2 {
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition",
			fmt.Sprintf(`form-data; name="%s"; filename="%s"`, files[i], files[i+1]))
		header.Set("Content-Type", "image/png")
		part, err := form.CreatePart(header)
		check(err)
		data, err := os.ReadFile(files[i+1])
		check(err)
		_, err = part.Write(data)
		check(err)
	}
	check(form.Close())
	return call("edits", form.FormDataContentType(), &body)
}

func report(operation string, result object) {
	line, err := json.Marshal(result)
	check(err)
	fmt.Printf("{\"operation\": \"%s\", %s\n", operation, line[1:])
}

func answer(operation string, response *http.Response) {
	var body any
	check(json.NewDecoder(response.Body).Decode(&body))
	report(operation, object{"status": response.StatusCode, "answer": body})
}

func stream(response *http.Response) {
	var types []any
	var last object
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		data := strings.TrimPrefix(lines.Text(), "data: ")
		if data != lines.Text() {
			last = object{}
			check(json.Unmarshal([]byte(data), &last))
			types = append(types, last["type"])
		}
	}
	check(lines.Err())
	report("stream", object{"events": types, "images": []any{last["b64_json"]}})
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	answer("generate", generate(object{"prompt": "A lighthouse"}))
	answer("edit", edit("By night", "image", "lighthouse.png"))
	answer("mask", edit("A red door", "image", "lighthouse.png", "mask", "mask.png"))
	answer("inputs",
		edit("Both on one shelf", "image[]", "lighthouse.png", "image[]", "harbour.png"))
	stream(generate(object{"prompt": "A ship", "stream": true, "partial_images": 2}))
	answer("error", generate(object{"prompt": "A mistake", "size": "1000x1000"}))
	answer("retry", generate(object{"prompt": "A rate limit"}))
}
