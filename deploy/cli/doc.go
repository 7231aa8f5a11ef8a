// Package cli is the command line of gpumeter: one file a command, each a
// configuration, a help that teaches, and a call of the package that does the
// work. Results go to standard output, everything else to standard error.
package cli
