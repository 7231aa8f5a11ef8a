package chdb

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	if err := parsed.Execute(&text, struct {
		Options
		Fifo string
	}{o, pattern(filepath.Join(o.Dir, fifoName))}); err != nil {
		return "", fmt.Errorf("fill in the engine's configuration: %w", err)
	}
	path := filepath.Join(o.Dir, "config.xml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("write the engine's configuration: %w", err)
	}
	return path, nil
}

// pattern is the regular expression of one path, inside a string of SQL inside
// XML.
func pattern(path string) string {
	sql := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(regexp.QuoteMeta(path))
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(sql)) // a builder takes everything
	return b.String()
}
