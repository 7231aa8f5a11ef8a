package slacktest

import (
	"encoding/json"
	"unicode/utf8"
)

// Slack's limits on a message.
const (
	maxText    = 40_000
	maxBlocks  = 50
	maxSection = 3000
	maxFields  = 10
	maxField   = 2000
	maxNotes   = 10
)

type textObject struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"`
}

// check gives the code with which Slack refuses a message, "" for a good one. A
// text in Slack's markup that is not verbatim is refused too: Slack would take
// it, and turn what looks like a mention into one.
func check(text, blocks string) string {
	switch {
	case text == "":
		return "no_text"
	case utf8.RuneCountInString(text) > maxText:
		return "msg_too_long"
	case blocks == "":
		return ""
	}
	var all []struct {
		Type     string       `json:"type"`
		Text     *textObject  `json:"text"`
		Fields   []textObject `json:"fields"`
		Elements []textObject `json:"elements"`
	}
	if json.Unmarshal([]byte(blocks), &all) != nil {
		return "invalid_blocks_format"
	}
	if len(all) > maxBlocks {
		return "invalid_blocks"
	}
	for _, b := range all {
		if len(b.Fields) > maxFields || len(b.Elements) > maxNotes || b.Type == "section" && b.Text == nil && len(b.Fields) == 0 {
			return "invalid_blocks"
		}
		if b.Text != nil && !b.Text.good(maxSection) {
			return "invalid_blocks"
		}
		for _, t := range b.Fields {
			if !t.good(maxField) {
				return "invalid_blocks"
			}
		}
		for _, t := range b.Elements {
			if !t.good(maxSection) {
				return "invalid_blocks"
			}
		}
	}
	return ""
}

func (t textObject) good(most int) bool {
	return t.Text != "" && utf8.RuneCountInString(t.Text) <= most && (t.Type == "plain_text" || t.Verbatim)
}
