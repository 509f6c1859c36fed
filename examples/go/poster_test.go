package posters

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"image/png"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var emulatorURL string

// TestMain starts the emulator on a free port for all tests.
func TestMain(m *testing.M) {
	server := exec.Command("images-emulator", "--port", "0", "--log-format", "json")
	output, err := server.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewReader(output)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		log.Fatal(err)
	}
	// A pipe that nobody reads is full some time, and then the emulator waits.
	go io.Copy(io.Discard, lines)
	var start struct {
		BaseURL string `json:"base_url"`
	}
	if err := json.Unmarshal(line, &start); err != nil {
		log.Fatal(err)
	}
	emulatorURL = strings.TrimSuffix(start.BaseURL, "/v1") + "/_emulator"
	os.Setenv("OPENAI_BASE_URL", start.BaseURL)
	os.Setenv("OPENAI_API_KEY", "sk-test")
	status := m.Run()
	server.Process.Kill()
	os.Exit(status)
}

func post(t *testing.T, path, body string) {
	t.Helper()
	answer, err := http.Post(emulatorURL+path, "application/json", strings.NewReader(body))
	if err != nil || answer.StatusCode >= 300 {
		t.Fatal(path, answer, err)
	}
}

func TestPosterIsAPicture(t *testing.T) {
	post(t, "/reset", "")
	poster, err := Draw("The Lighthouse")
	if err != nil {
		t.Fatal(err)
	}
	config, err := png.DecodeConfig(bytes.NewReader(poster))
	if err != nil || config.Width != 1024 {
		t.Fatal(config, err)
	}
}

func TestRefusalIsAnError(t *testing.T) {
	post(t, "/reset", "")
	post(t, "/inject", `{"fault": "moderation_blocked"}`)
	_, err := Draw("The Lighthouse")
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Status != 400 || refusal.Code != "moderation_blocked" {
		t.Fatal(err)
	}
}
