// Package posters draws posters by the Images API, with the standard library alone.
package posters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// Error is a refusal of the API.
type Error struct {
	Status  int
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
}

// Draw returns the poster of a title in PNG. A refusal is an *Error.
func Draw(title string) ([]byte, error) {
	body, err := json.Marshal(map[string]any{
		"model":  "gpt-image-2",
		"prompt": "A poster for " + title,
		"size":   "1024x1024",
	})
	if err != nil {
		return nil, err
	}
	url := os.Getenv("OPENAI_BASE_URL") + "/images/generations"
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Data []struct {
			Base64 []byte `json:"b64_json"`
		}
		Error *Error
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != nil {
		answer.Error.Status = response.StatusCode
		return nil, answer.Error
	}
	return answer.Data[0].Base64, nil
}
