package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/deploy/chdb"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// start runs an engine for one test, which is skipped where none can run.
func start(t *testing.T, dir string) *chdb.Server {
	t.Helper()
	s, err := chdb.Start(t.Context(), chdb.Options{Dir: dir})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *chdb.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	begin := time.Now()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
	t.Logf("stopped in %v", time.Since(begin).Round(time.Millisecond))
}

func connect(t *testing.T, dsn string) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func exec(t *testing.T, c driver.Conn, query string) {
	t.Helper()
	if err := c.Exec(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// count runs a query of one number and tries again while the engine restarts.
func count(t *testing.T, c driver.Conn, query string) uint64 {
	t.Helper()
	var n uint64
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if err = c.QueryRow(t.Context(), query).Scan(&n); err == nil {
			return n
		}
		var exception *clickhouse.Exception
		if errors.As(err, &exception) {
			break
		}
	}
	t.Fatalf("%s: %v", query, err)
	return 0
}

func TestBothProtocolsSeeTheSameEngine(t *testing.T) {
	s := start(t, t.TempDir())
	native, http := connect(t, s.DSN()), connect(t, s.HTTPURL())
	exec(t, native, "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
	exec(t, http, "INSERT INTO t SELECT number FROM numbers(1000)")
	for name, c := range map[string]driver.Conn{"native": native, "http": http} {
		if n := count(t, c, "SELECT sum(n) FROM t"); n != 499500 {
			t.Errorf("%s: the sum is %d, want 499500", name, n)
		}
	}
}

func TestKilledEngineComesBackWithWhatItAcknowledged(t *testing.T) {
	s := start(t, t.TempDir())
	c := connect(t, s.DSN())
	exec(t, c, "CREATE TABLE t (batch UInt64) ENGINE = MergeTree ORDER BY batch")
	kill := time.AfterFunc(500*time.Millisecond, func() { killChildren(t) })
	defer kill.Stop()

	acknowledged, failed := uint64(0), 0
	for batch := 0; failed == 0 || acknowledged < uint64(failed)+50; batch++ {
		err := c.Exec(t.Context(), fmt.Sprintf("INSERT INTO t SELECT %d FROM numbers(1000)", batch))
		if err == nil {
			acknowledged++
			continue
		}
		if failed++; failed > 20000 {
			t.Fatalf("the engine does not come back: %v", err)
		}
	}
	if failed == 0 {
		t.Fatal("the engine was not killed: the test shows nothing")
	}
	whole := count(t, c, "SELECT count() FROM (SELECT batch FROM t GROUP BY batch HAVING count() = 1000)")
	parts := count(t, c, "SELECT count() FROM (SELECT batch FROM t GROUP BY batch HAVING count() != 1000)")
	if whole < acknowledged || parts > 0 {
		t.Errorf("%d batches acknowledged, %d whole and %d partial ones found", acknowledged, whole, parts)
	}
	t.Logf("%d batches acknowledged, %d failed, %d found", acknowledged, failed, whole)
}

// killChildren kills the engines of this process without warning.
func killChildren(t *testing.T) {
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Error(err)
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for pid := range strings.FieldsSeq(string(text)) {
			var n int
			if _, err := fmt.Sscan(pid, &n); err == nil {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
	}
}

func TestSecondStartFindsTheData(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	exec(t, connect(t, first.DSN()), "CREATE TABLE t ENGINE = MergeTree ORDER BY tuple() AS SELECT number FROM numbers(10)")
	stop(t, first)
	if _, err := chdb.Find(t.Context(), dir); !errors.Is(err, chdb.ErrNotRunning) {
		t.Errorf("after Stop, Find says %v", err)
	}
	second := start(t, dir)
	if n := count(t, connect(t, second.DSN()), "SELECT count() FROM t"); n != 10 {
		t.Errorf("%d rows after the second start, want 10", n)
	}
}

func TestOpenDirectoryIsFoundAndRefused(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	found, err := chdb.Find(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if found != s.Address() || found.PID != os.Getpid() {
		t.Errorf("found %+v, want %+v", found, s.Address())
	}
	_, err = chdb.Start(t.Context(), chdb.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "is open in process") {
		t.Errorf("a second engine on the directory: %v", err)
	}
}

func TestAddressOfAnotherEngineIsNotTaken(t *testing.T) {
	s := start(t, t.TempDir())
	stale := t.TempDir()
	text := fmt.Sprintf(`{"pid":1,"native":%q,"http":%q}`, s.Address().Native, s.Address().HTTP)
	if err := os.WriteFile(filepath.Join(stale, "clickhouse.addr"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := chdb.Find(t.Context(), stale); !errors.Is(err, chdb.ErrNotRunning) {
		t.Errorf("the address of another directory's engine: %v", err)
	}
}

func TestRudeClientsDoNotKillTheEngine(t *testing.T) {
	s := start(t, t.TempDir())
	before := count(t, connect(t, s.DSN()), "SELECT toUInt64(toUnixTimestamp(now()) - uptime())")
	for i := range 10 {
		abandonQuery(t, s.Address().Native)
		abandonInsert(t, s.Address().HTTP, i%2 == 0)
	}
	exec(t, connect(t, s.HTTPURL()), "SELECT 1")
	after := count(t, connect(t, s.DSN()), "SELECT toUInt64(toUnixTimestamp(now()) - uptime())")
	if after > before+1 {
		t.Errorf("the engine was restarted: born at %d, then at %d", before, after)
	}
}

// abandonQuery resets a native connection in the middle of a large result.
func abandonQuery(t *testing.T, address string) {
	t.Helper()
	var raw net.Conn
	c, err := clickhouse.Open(&clickhouse.Options{Addr: []string{address}, DialContext: func(ctx context.Context, a string) (net.Conn, error) {
		var d net.Dialer
		n, err := d.DialContext(ctx, "tcp", a)
		raw = n
		return n, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	rows, err := c.Query(t.Context(), "SELECT number, toString(number) FROM numbers(100000000)")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 10 && rows.Next(); i++ {
		continue
	}
	_ = raw.(*net.TCPConn).SetLinger(0)
	_ = raw.Close()
	_ = rows.Close()
}

// abandonInsert promises a megabyte over HTTP and leaves after three bytes.
func abandonInsert(t *testing.T, address string, reset bool) {
	t.Helper()
	n, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(n, "POST /?query=INSERT+INTO+x+FORMAT+Native HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc")
	if reset {
		_ = n.(*net.TCPConn).SetLinger(0)
	}
	_ = n.Close()
}

func TestOptionsAreRefusedWithTheFix(t *testing.T) {
	for address, want := range map[string]string{"0.0.0.0:9000": "loopback only", "9000": "missing port"} {
		_, err := chdb.Start(t.Context(), chdb.Options{Dir: t.TempDir(), NativeAddr: address})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("address %s: %v, want %q", address, err, want)
		}
	}
	_, err := chdb.Start(t.Context(), chdb.Options{Dir: t.TempDir(), Library: "/nowhere/libchdb.so"})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/libchdb.so") {
		t.Errorf("a missing library: %v", err)
	}
}

// landlockCreateRuleset is the number of the system call on every architecture.
const landlockCreateRuleset = 444

// The function file() needs no grant and would read whatever this process may; the
// kernel keeps it to the engine's own files.
func TestEngineReadsNoFilesOfOthers(t *testing.T) {
	if abi, _, errno := syscall.Syscall(landlockCreateRuleset, 0, 0, 1); errno != 0 || abi < 2 {
		t.Skipf("the kernel has no Landlock of version 2: %d, %v", abi, errno)
	}
	t.Setenv("GPUMETER_TEST_SECRET", "topsecret")
	s := start(t, t.TempDir())
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("topsecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{secret, "/etc/passwd", fmt.Sprintf("/proc/%d/environ", os.Getpid())} {
		var text string
		if err := connect(t, s.DSN()).QueryRow(t.Context(), "SELECT file({path:String})", driver.NamedValue{Name: "path", Value: path}).Scan(&text); err == nil {
			t.Errorf("%s: read %.40q", path, text)
		} else if !strings.Contains(err.Error(), "errno: 13") {
			t.Errorf("%s: %v, want permission denied", path, err)
		}
	}
	if err := connect(t, s.DSN()).Exec(t.Context(), "CREATE TABLE dropped (n UInt8) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Error(err)
	}
	if err := connect(t, s.DSN()).Exec(t.Context(), "DROP TABLE dropped SYNC"); err != nil { // moves a file to another folder
		t.Error(err)
	}
	var environment string
	err := connect(t, s.DSN()).QueryRow(t.Context(), "SELECT file('/proc/self/environ')").Scan(&environment)
	if strings.Contains(environment, "topsecret") {
		t.Errorf("the engine has our secrets: %v", err)
	}
}
