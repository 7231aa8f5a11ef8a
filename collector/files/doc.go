// Package files is the source that reads a directory of the input contract and
// hands over each file in file order, several files at a time. In batch mode it
// reads every file to its end; in follow mode it waits for more, for files to
// appear, and for rotation by rename or by cutting. It remembers nothing: a
// restart begins at 0, and events that come again count once.
//
// Rotation by rename loses nothing. A file that is cut in place and outgrows its
// old length before the next look seems to have grown: what it held up to there
// is not seen.
package files
