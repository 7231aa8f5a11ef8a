// Package generate writes input directories (DESIGN §3) from a seed: clusters
// that never were, with as many of the oddities that the rules speak of as the
// Features ask for. The same Options give the same bytes.
//
// Write makes a directory; Shuffle, Repeat and Delay copy one with its lines in
// another order. It writes what can be read and what must be refused; it does
// not say what the ledger of it is: that is the oracle's.
package generate
