// Package verify checks a ledger in ClickHouse: that it adds up, and, given the
// input that it was made from, that it is the oracle's, row by row.
//
// Without the input it takes the resources and prices from the ledger's own
// tables and checks for each cell that its rows tile the device in space and
// time (so a row that is missing, doubled or moved is found), for each row that
// positions, runs and price give its milliseconds and money to the nano-unit,
// and for each resource and hour that the sums are rule 8's wholes. What only
// the input can tell (who held a GPU, whether it worked) needs the input. A row
// without width can go missing unseen without it.
//
// It reads rows in order and keeps none: memory is for resources, hours and, with
// the input, its samples. It writes nothing and repairs nothing.
package verify
