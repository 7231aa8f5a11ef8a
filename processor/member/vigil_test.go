package member

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Who waits for a transaction that hangs says so once a minute, with the remedy.
func TestVigilTells(t *testing.T) {
	var said bytes.Buffer
	v := watch(slog.New(slog.NewTextHandler(&said, nil)), "offsets of group g")
	for s := range 150 {
		v.tell(v.began.Add(time.Duration(s) * time.Second))
	}
	if n := strings.Count(said.String(), "kafka-transactions.sh abort"); n != 2 || !strings.Contains(said.String(), `open="offsets of group g" seconds=120`) {
		t.Errorf("said %d times in 150 s:\n%s", n, said.String())
	}
}
