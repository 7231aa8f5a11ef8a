package storage

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/sink"
)

// An outage is a way in which a server does not take rows.
type outage struct {
	says  string // in the error that the sink shows
	begin func(e *engine)
	end   func(e *engine)
}

// outages that the engine itself can have.
func outages() map[string]outage {
	return map[string]outage{
		"too many parts": {
			says: "TOO_MANY_PARTS",
			begin: func(e *engine) {
				e.do("SYSTEM STOP MERGES")
				e.do("ALTER TABLE gpumeter.cells MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1")
			},
			end: func(e *engine) {
				e.do("ALTER TABLE gpumeter.cells RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
				e.do("SYSTEM START MERGES")
			},
		},
		"memory limit": changed("MEMORY_LIMIT_EXCEEDED", func(a *account) {
			a.settings = "<max_memory_usage>1000</max_memory_usage><max_untracked_memory>1</max_untracked_memory>"
		}),
		"wrong password":     changed("AUTHENTICATION_FAILED", func(a *account) { a.password = "another" }),
		"no right to insert": changed("Not enough privileges", func(a *account) { a.grant = "GRANT SELECT ON gpumeter.*" }),
		"read-only account":  changed("readonly", func(a *account) { a.settings = "<readonly>1</readonly>" }),
	}
}

// changed is an outage by what becomes of the account.
func changed(says string, change func(*account)) outage {
	return outage{
		says: says,
		begin: func(e *engine) {
			a := newAccount()
			change(&a)
			e.becomes(a)
		},
		end: func(e *engine) { e.becomes(newAccount()) },
	}
}

// Whatever keeps the server from taking rows: the sink waits, says why, reads no
// further than it may hold, and stores each row once when it is over.
func TestServerThatDoesNotTakeRows(t *testing.T) {
	for name, o := range outages() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			newAccount().write(t, dir)
			e, p := newEngineIn(t, dir), newPipe(t)
			dsn := strings.Replace(e.DSN(), "default@", "gpumeter:secret@", 1)
			e.endure(p, dsn, o)
		})
	}
}

// An account is the user gpumeter of the engine in a directory.
type account struct{ password, settings, grant string }

func newAccount() account {
	return account{password: "secret", grant: "GRANT ALL ON gpumeter.*"}
}

// write puts it beside the configuration of an engine.
func (a account) write(t *testing.T, dir string) {
	t.Helper()
	extra := filepath.Join(dir, "config.d")
	if err := os.MkdirAll(extra, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`<clickhouse><profiles><gpumeter>%s</gpumeter></profiles><users><gpumeter><password>%s</password><profile>gpumeter</profile><quota>default</quota>
<networks><ip>127.0.0.1</ip></networks><grants><query>%s</query><query>GRANT TABLE ENGINE ON *</query></grants></gpumeter></users></clickhouse>`, a.settings, a.password, a.grant)
	if err := os.WriteFile(filepath.Join(extra, "account.xml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// becomes changes the account. The engine reads it when it starts.
func (e *engine) becomes(a account) {
	e.Helper()
	a.write(e.T, e.dir)
	killEngines(e.T)
	await(e.T, "the engine", func() bool { return e.conn.Exec(e.Context(), "SELECT 1") == nil })
}

// endure runs a sink through an outage.
func (e *engine) endure(p *pipe, dsn string, o outage) {
	e.Helper()
	r := p.launch(p.sink(dsn, "g", 100_000, 16<<20))
	stats := <-r.stats
	p.round(0)
	p.drain("g")
	o.begin(e)
	p.round(1)
	await(e.T, "the sink to say why it waits", func() bool {
		w := stats().Waiting
		return w != nil && strings.Contains(w.Error(), o.says)
	})
	for n := 2; n < 6; n++ {
		p.round(n)
	}
	await(e.T, "three attempts", func() bool { return stats().Retries >= 3 })
	if lag, err := sink.Lag(e.Context(), p.admin, "g"); err != nil || lag == 0 {
		e.Errorf("lag %d, %v in an outage", lag, err)
	}
	o.end(e)
	p.drain("g")
	if w := stats().Waiting; w != nil {
		e.Errorf("all is stored, and the sink says %v", w)
	}
	r.stop()
	if !r.has("ClickHouse does not take the rows", "no longer waiting for ClickHouse") {
		e.Errorf("nobody is told:\n%s", r.text.String())
	}
	e.shows(p, 6)
}

// A password that is changed at the server and then in its file needs no restart.
func TestPasswordIsReadAgain(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "password")
	newAccount().write(t, dir)
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret")
	e, p := newEngineIn(t, dir), newPipe(t)
	rotated := changed("AUTHENTICATION_FAILED", func(a *account) { a.password = "another" })
	rotated.end = func(*engine) { write("another") }
	e.endure(p, strings.Replace(e.DSN(), "default@", "gpumeter@", 1)+"?password_file="+file, rotated)
}

// Errors that an engine of one node cannot have are said by a proxy in its place.
func TestServerThatSaysNo(t *testing.T) {
	for name, code := range map[string]int{"TABLE_IS_READ_ONLY": 242, "NOT_ENOUGH_SPACE": 243, "KEEPER_EXCEPTION": 999, "of a version to come": 4711} {
		t.Run(name, func(t *testing.T) {
			e, p := newEngine(t), newPipe(t)
			var refusing atomic.Bool
			target, err := url.Parse(e.HTTPURL())
			if err != nil {
				t.Fatal(err)
			}
			target.User = nil
			forward := httputil.NewSingleHostReverseProxy(target)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !refusing.Load() {
					forward.ServeHTTP(w, r)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("X-ClickHouse-Exception-Code", fmt.Sprint(code))
				http.Error(w, fmt.Sprintf("Code: %d. DB::Exception: %s", code, name), http.StatusInternalServerError)
			}))
			t.Cleanup(server.Close)
			e.endure(p, server.URL, outage{
				says:  name,
				begin: func(*engine) { refusing.Store(true) },
				end:   func(*engine) { refusing.Store(false) },
			})
		})
	}
}

// The disk of the server is full. Only root may mount a small one.
func TestServerWhoseDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	e, p := newEngineIn(t, dir), newPipe(t)
	ballast := filepath.Join(dir, "ballast")
	e.endure(p, e.DSN(), outage{
		says: "pace", // "No space left on device", "Cannot reserve … not enough space"
		begin: func(*engine) {
			if err := fill(ballast); err != nil {
				t.Fatal(err)
			}
		},
		end: func(*engine) {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		},
	})
}

// fill writes until nothing more fits.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for size := 1 << 20; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
	return f.Close()
}

// awayFor is how long the server is away in TestServerThatIsAway: 15 s, or what
// the environment says.
func awayFor(t *testing.T) time.Duration {
	text, ok := os.LookupEnv("GPUMETER_TEST_AWAY")
	if !ok {
		return 15 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("GPUMETER_TEST_AWAY: %v", err)
	}
	return d
}

// The server is away while records come. A stop in the middle is in time, and
// leaves all to the successor.
func TestServerThatIsAway(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	x := newProxy(t, strings.TrimPrefix(e.DSN(), "clickhouse://default@"))
	dsn := "clickhouse://default@" + x.address()
	r := p.launch(p.sink(dsn, "g", 100, 1<<20))
	stats := <-r.stats
	p.round(0)
	p.drain("g")
	x.setAway(true)
	began, rounds := time.Now(), 1
	for time.Since(began) < awayFor(t) {
		p.round(rounds)
		rounds++
		time.Sleep(awayFor(t) / 200) // the pace of the input, not a wait for anything
	}
	if s := stats(); s.Waiting == nil || time.Since(s.WaitingSince) < awayFor(t)/2 {
		t.Errorf("waiting since %v: %v", s.WaitingSince, s.Waiting)
	}
	attempts := stats().Retries
	if longest := int64(time.Since(began)/(5*time.Second/2)) + 20; attempts > longest {
		t.Errorf("%d attempts in %v", attempts, time.Since(began))
	}
	r.stop()
	successor := p.launch(p.sink(dsn, "g", 10_000, 1<<20)) // it waits for the server to migrate
	x.setAway(false)
	p.drain("g")
	successor.stop()
	t.Logf("%d rounds in %v, %d attempts", rounds, time.Since(began).Round(time.Second), attempts)
	e.shows(p, rounds)
}

// A schema that does not fit ends the sink with what is missing; once it fits,
// every row is there once.
func TestSchemaThatFitsAgain(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	p.round(0)
	e.do("ALTER TABLE gpumeter.tags_log RENAME COLUMN priority TO other")
	err := p.launch(p.sink(e.DSN(), "g", 100, 1<<20)).ends()
	if err == nil || !strings.Contains(err.Error(), "tags_log") || !strings.Contains(err.Error(), "priority") {
		t.Errorf("the sink ended: %v", err)
	}
	e.do("ALTER TABLE gpumeter.tags_log RENAME COLUMN other TO priority")
	p.run(e.DSN(), "g")
	e.shows(p, 1)
}
