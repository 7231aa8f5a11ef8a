// Package broker runs a Kafka broker inside this process, for replays, tests and
// trying things out: franz-go's kfake behind a loopback port. Clients reach it as
// they reach any broker.
//
// What it is not:
//   - It is one node and keeps nothing in sync with anybody.
//   - With a directory, a stop in order keeps everything. A kill -9 of this
//     process may lose acknowledged records and may show a transaction that was
//     open then as committed. The directory of a replay that was killed is to be
//     removed and the replay repeated; its input still has the events.
//   - A record's time is its producer's clock, whatever the topic says. All
//     producers are on this machine, so it is the same clock.
//   - It has no passwords and listens on loopback only.
//
// Use real brokers (--brokers) where that matters.
package broker
