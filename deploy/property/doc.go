// Package property holds the tests that compare the engine with the oracle over
// generated inputs: whatever the order, repetition, delay and division of the
// events, the published cells are the oracle's rows, in every column. It has no
// code of its own to use.
package property
