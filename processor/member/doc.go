// Package member is what a member of a consumer group here is made of: the
// partitions that the group has given it, and transactions that hold output and
// offsets together and end in bounded time, whether the brokers answer or not.
// It knows no stream and no rule; packages meter and detect are built on it.
package member
