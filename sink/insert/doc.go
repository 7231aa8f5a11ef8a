// Package insert sends blocks of columns to ClickHouse over the native protocol
// or HTTP, and decides what an error means. It does not retry: the caller knows
// how long it may wait.
package insert
