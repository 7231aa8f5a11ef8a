package slacktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A Fault is a way in which one request fails. The zero Fault does not.
type Fault struct {
	RetryAfter time.Duration // 429, in whole seconds
	Status     int           // answers with this status
	Code       string        // answers ok=false with this code
	Hang       bool          // answers never
	Reset      bool          // cuts the connection
	Accepted   bool          // does the work first; with Hang and Reset
}

// Fail makes the next requests fail, one fault each.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// serve answers a request with what work returns, or fails.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, c Call, work func() any) {
	fault := s.begin(c)
	switch {
	case fault.RetryAfter > 0:
		w.Header().Set("Retry-After", fmt.Sprint(int((fault.RetryAfter+time.Second-1)/time.Second)))
		http.Error(w, "ratelimited", http.StatusTooManyRequests)
		return
	case fault.Code != "" && c.Method == "webhook":
		http.Error(w, fault.Code, webhookStatus(fault.Code))
		return
	case fault.Code != "":
		answer(w, problem(fault.Code))
		return
	}
	var out any
	if fault == (Fault{}) || fault.Accepted {
		out = work()
	}
	switch {
	case fault.Hang:
		select {
		case <-r.Context().Done():
		case <-s.stopped:
		}
	case fault.Reset:
		panic(http.ErrAbortHandler)
	case fault.Status != 0:
		http.Error(w, "fault", fault.Status)
	default:
		answer(w, out)
	}
}

// webhookStatus is the status that goes with an error of a webhook, where the
// code stands in the body.
func webhookStatus(code string) int {
	switch code {
	case "channel_not_found", "no_service":
		return http.StatusNotFound
	case "invalid_auth", "action_prohibited":
		return http.StatusForbidden
	case "internal_error":
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// answer writes JSON, or the plain text with which webhooks answer.
func answer(w http.ResponseWriter, out any) {
	switch v := out.(type) {
	case refusal:
		http.Error(w, string(v), http.StatusBadRequest)
	case string:
		_, _ = w.Write([]byte(v))
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
}
