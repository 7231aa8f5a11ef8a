// Package storage holds the tests of the sink and of the ledger's schema on the
// embedded ClickHouse. They are here because only deploy may import all of
// them; there is nothing else in it.
package storage
