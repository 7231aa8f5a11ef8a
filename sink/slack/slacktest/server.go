// Package slacktest is a Slack for tests, demos and benchmarks: an HTTP server on
// loopback that speaks the parts of the Web API and of incoming webhooks that
// package slack uses, keeps the messages that it was given, and fails on demand
// in the ways in which Slack and networks fail. It checks what Slack checks
// where a mistake would otherwise pass unseen; it shows nothing and stores
// nothing.
package slacktest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What a Server accepts. The token and the webhook's path are secrets: nobody
// may write them anywhere.
const (
	Token       = "xoxb-0000-0000-aVerySecretToken"
	WebhookPath = "/services/T0000/B0000/aVerySecretPath"
	Channel     = "C0123456789"
)

// A Message is one message in the channel.
type Message struct {
	TS       string   // its timestamp: its address
	Thread   string   // the message that it answers, "" = none
	Text     string   // as it stands now
	Blocks   string   // JSON, as it stands now
	ID       string   // id in the metadata, "" behind a webhook
	Edits    []string // texts that replaced the first one
	Received time.Time
}

// A Call is one request as it came in.
type Call struct {
	Method string // chat.postMessage, chat.update, conversations.history, conversations.replies, auth.test or webhook
	Text   string // of a message
}

// A Server is a running Slack.
type Server struct {
	// OnCall, if given before the first request, is asked what to do with each
	// request. It is called from several goroutines.
	OnCall func(Call) Fault

	http     *httptest.Server
	mu       sync.Mutex
	messages []*Message
	calls    []Call
	faults   []Fault
	changed  chan struct{} // closed at the next change
	stopped  chan struct{}
	page     int
}

// New starts a Server; Close ends it.
func New() *Server {
	s := &Server{changed: make(chan struct{}), stopped: make(chan struct{}), page: 100}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", s.api)
	mux.HandleFunc("POST "+WebhookPath, s.webhook)
	s.http = httptest.NewServer(mux)
	return s
}

// Close ends the server and the requests that hang.
func (s *Server) Close() {
	close(s.stopped)
	s.http.Close()
}

// API is the address of the Web API, for slack.api.
func (s *Server) API() string { return s.http.URL + "/api/" }

// Webhook is the URL of the incoming webhook.
func (s *Server) Webhook() string { return s.http.URL + WebhookPath }

// PageSize sets how many messages a page of the history holds at most.
func (s *Server) PageSize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = n
}

// Messages returns copies of all messages in the order in which they came.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Message, len(s.messages))
	for i, m := range s.messages {
		out[i] = *m
		out[i].Edits = slices.Clone(m.Edits)
	}
	return out
}

// Calls returns all requests, those that failed too.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Changed is closed at the next request or message.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// begin notes a call and says how it fails.
func (s *Server) begin(c Call) Fault {
	fault := Fault{}
	if s.OnCall != nil {
		fault = s.OnCall(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	if fault == (Fault{}) && len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.change()
	return fault
}

func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	form := r.PostForm
	s.serve(w, r, Call{method, form.Get("text")}, func() any {
		token := cmp.Or(form.Get("token"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		switch {
		case token != Token:
			return problem("invalid_auth")
		case method != "auth.test" && form.Get("channel") != Channel:
			return problem("channel_not_found")
		}
		switch method {
		case "auth.test":
			return map[string]any{"ok": true, "user": "gpumeter", "team": "test", "user_id": "U1", "team_id": "T1"}
		case "chat.postMessage":
			return s.post(form.Get("text"), form.Get("blocks"), form.Get("thread_ts"), form.Get("metadata"))
		case "chat.update":
			return s.update(form.Get("ts"), form.Get("text"), form.Get("blocks"))
		case "conversations.history":
			return s.history("", form.Get("oldest"), form.Get("cursor"))
		case "conversations.replies":
			return s.history(form.Get("ts"), form.Get("oldest"), form.Get("cursor"))
		}
		return problem("unknown_method")
	})
}

func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m struct {
		Text   string          `json:"text"`
		Blocks json.RawMessage `json:"blocks"`
	}
	if err != nil || json.Unmarshal(body, &m) != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	s.serve(w, r, Call{"webhook", m.Text}, func() any {
		if s.post(m.Text, string(m.Blocks), "", "")["ok"] != true {
			return refusal("invalid_payload")
		}
		return "ok"
	})
}

// A refusal is how a webhook says no.
type refusal string

func problem(code string) map[string]any { return map[string]any{"ok": false, "error": code} }

// post takes a message in, if Slack would.
func (s *Server) post(text, blocks, thread, metadata string) map[string]any {
	if code := check(text, blocks); code != "" {
		return problem(code)
	}
	var meta struct {
		Payload map[string]any `json:"event_payload"`
	}
	if metadata != "" && json.Unmarshal([]byte(metadata), &meta) != nil {
		return problem("invalid_metadata_format")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if thread != "" && s.find(thread) == nil {
		return problem("thread_not_found")
	}
	now := time.Now()
	m := &Message{TS: fmt.Sprintf("%d.%06d", now.Unix(), len(s.messages)+1), Thread: thread, Text: text, Blocks: blocks, Received: now}
	if id, ok := meta.Payload["id"].(string); ok {
		m.ID = id
	}
	s.messages = append(s.messages, m)
	s.change()
	return map[string]any{"ok": true, "channel": Channel, "ts": m.TS}
}

func (s *Server) update(ts, text, blocks string) map[string]any {
	if code := check(text, blocks); code != "" {
		return problem(code)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(ts)
	if m == nil {
		return problem("message_not_found")
	}
	m.Text, m.Blocks, m.Edits = text, blocks, append(m.Edits, text)
	s.change()
	return map[string]any{"ok": true, "channel": Channel, "ts": ts, "text": text}
}

func (s *Server) find(ts string) *Message {
	for _, m := range s.messages {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

// Delete removes a message, as a person may.
func (s *Server) Delete(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m *Message) bool { return m.TS == ts })
}

// history lists the messages of the channel, or of a thread with its first one,
// the newest first.
func (s *Server) history(thread, oldest, cursor string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if thread != "" && s.find(thread) == nil {
		return problem("thread_not_found")
	}
	all := []map[string]any{}
	for _, m := range s.messages {
		if m.Thread != thread && m.TS != thread || oldest != "" && older(m.TS, oldest) {
			continue
		}
		all = append(all, map[string]any{
			"type": "message", "ts": m.TS, "text": m.Text, "thread_ts": m.Thread,
			"metadata": map[string]any{"event_type": "gpumeter_notice", "event_payload": map[string]any{"id": m.ID}},
		})
	}
	slices.Reverse(all)
	from, _ := strconv.Atoi(cursor)
	to := min(len(all), from+s.page)
	next := ""
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return map[string]any{
		"ok": true, "messages": all[min(from, to):to], "has_more": next != "",
		"response_metadata": map[string]any{"next_cursor": next},
	}
}

func older(a, b string) bool {
	x, _ := strconv.ParseFloat(a, 64)
	y, _ := strconv.ParseFloat(b, 64)
	return x < y
}
