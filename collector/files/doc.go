// Package files is the source that reads a directory of the input contract and
// publishes each file in file order, several files at a time. In batch mode it
// reads every file to its end; in follow mode it waits for more, for files to
// appear, and for rotation by rename or by cutting. It remembers nothing: a
// restart begins at 0, and events that come again count once.
package files
