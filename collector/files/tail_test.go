package files

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open begins a tail of a new file that holds text.
func open(ctx context.Context, t *testing.T, text string) *tail {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, text)
	f, err := waitOpen(ctx, path, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &tail{ctx: ctx, path: path, file: f, poll: time.Millisecond}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTailEndsWhenReplaced(t *testing.T) {
	for name, replace := range map[string]func(path string){
		"renamed and made anew": func(path string) {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			write(t, path, "new")
		},
		"cut":                   func(path string) { write(t, path, "") },
		"cut and written a bit": func(path string) { write(t, path, "ne") },
	} {
		t.Run(name, func(t *testing.T) {
			in := open(t.Context(), t, "old\n")
			if got, err := bufio.NewReader(io.LimitReader(in, 4)).ReadString('\n'); got != "old\n" || err != nil {
				t.Fatalf("got %q (%v)", got, err)
			}
			replace(in.path)
			if rest, err := io.ReadAll(in); err != nil || len(rest) != 0 {
				t.Errorf("rest %q (%v), want the end of the file", rest, err)
			}
		})
	}
}

func TestTailReadsTheOldFileToItsEnd(t *testing.T) {
	in := open(t.Context(), t, "one")
	if err := os.Rename(in.path, in.path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, in.path, "other")
	old, err := os.OpenFile(in.path+".1", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if _, err := old.WriteString(" two"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); err != nil || string(got) != "one two" {
		t.Errorf("got %q (%v)", got, err)
	}
}

func TestTailWaitsWhileTheNameIsFree(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	in := open(ctx, t, "")
	if err := os.Remove(in.path); err != nil {
		t.Fatal(err)
	}
	if n, err := in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read %d (%v), want that it waits until it is told to stop", n, err)
	}
}

func TestWaitOpenStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := waitOpen(ctx, filepath.Join(t.TempDir(), "file"), time.Millisecond); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Dir: "d", Poll: time.Second}, ""},
		{Config{Poll: time.Second}, "source.files.dir"},
		{Config{Dir: "d"}, "source.files.poll"},
	} {
		if err := c.cfg.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}
