package chdb

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// runLocal loads the library and runs clickhouse-local's main with args in
// this process until it ends.
func runLocal(library string, args []string) error {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load %s: %w", library, err)
	}
	var (
		setSignalHandlers func(int32)
		cmdline           func(argc int32, argv unsafe.Pointer) uintptr
		resultError       func(uintptr) string
		destroyResult     func(uintptr)
	)
	purego.RegisterLibFunc(&setSignalHandlers, handle, "chdb_set_signal_handlers_enabled")
	purego.RegisterLibFunc(&cmdline, handle, "chdb_query_cmdline")
	purego.RegisterLibFunc(&resultError, handle, "chdb_result_error")
	purego.RegisterLibFunc(&destroyResult, handle, "chdb_destroy_query_result")
	setSignalHandlers(0) // the Go runtime's stay

	argv, release := cStrings(args)
	defer release()
	result := cmdline(int32(len(args)), argv)
	if result == 0 {
		return errors.New("the engine returned nothing")
	}
	defer destroyResult(result)
	if message := resultError(result); message != "" {
		return errors.New(message)
	}
	return nil
}

// cStrings is args as a C argv, pinned until release is called.
func cStrings(args []string) (argv unsafe.Pointer, release func()) {
	var pinner runtime.Pinner
	pointers := make([]unsafe.Pointer, len(args)+1)
	for i, arg := range args {
		text := append([]byte(arg), 0)
		pinner.Pin(&text[0])
		pointers[i] = unsafe.Pointer(&text[0])
	}
	pinner.Pin(&pointers[0])
	return unsafe.Pointer(&pointers[0]), pinner.Unpin
}

// terminalAsStdin makes a pseudo-terminal this process's stdin and returns its
// other end. With a terminal as stdin and --interactive, clickhouse-local
// leaves out an error handler that aborts the process on any exception of a
// listener's connection (ClickHouse issue 115666). Closing the other end makes
// the prompt that follows the last query see the end of its input.
func terminalAsStdin() (*os.File, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("unlock the pseudo-terminal: %w", err), master.Close())
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("name the pseudo-terminal: %w", err), master.Close())
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the terminal's end: %w", err), master.Close())
	}
	if err := unix.Dup2(int(slave.Fd()), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("make the terminal stdin: %w", err), slave.Close(), master.Close())
	}
	return master, slave.Close()
}
