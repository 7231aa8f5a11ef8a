package chdb

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed config.xml.tmpl
var configTemplate string

// writeConfig writes the server's configuration into dir and returns its path.
func writeConfig(o Options) (string, error) {
	parsed, err := template.New("config").Parse(configTemplate)
	if err != nil {
		return "", fmt.Errorf("parse the engine's configuration: %w", err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, o); err != nil {
		return "", fmt.Errorf("fill in the engine's configuration: %w", err)
	}
	path := filepath.Join(o.Dir, "config.xml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("write the engine's configuration: %w", err)
	}
	return path, nil
}
