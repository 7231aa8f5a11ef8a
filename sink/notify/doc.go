// Package notify tells people about alerts: each one once when it is raised and
// once when it is over, whatever dies in between.
//
// It reads gpumeter.findings in a consumer group of its own and hands messages
// to a Notifier, Slack above all. Notices below the severity of an alert are not
// told. What was told is recorded in gpumeter.notices, around the telling:
//
//	posting ─► message ─► posted ─► offset
//
// A record posting without posted means that nobody knows whether the message
// arrived: the process died, or no answer came. A Notifier that can look for the
// message looks. Where nothing can be asked the message is sent again and says
// that it may be a repetition: better twice than never.
//
// Few alerts are told one by one, at once. More than that in a short time are a
// storm, and become one message ordered by money, as does what has piled up
// while messages could not be delivered.
//
// book.go and plan.go decide, without clock and Kafka; run.go, deliver.go and
// recall.go do it. The package knows no Slack and no ClickHouse, and a Notifier
// that fails holds up nothing but itself.
package notify
