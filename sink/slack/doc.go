// Package slack tells people in a Slack channel, through an incoming webhook or
// with a bot token, what package notify decides that they are told.
//
// What a message says is pure and the same for Slack and for a terminal
// (page.go, alert.go, digest.go, render.go). Names, jobs and advice come from
// users and schedulers: none of them can mention anybody, link anywhere or forge
// a line. The secret that lets us in is read from a file or the
// environment and is in no error and no log.
//
// The package keeps no state and does not retry: a failure says what it means
// (classify.go) and package notify acts on it.
package slack
