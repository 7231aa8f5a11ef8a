package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// maxGeneration keeps a version in 64 bits.
const maxGeneration = 1<<16 - 1

// costID asks the brokers for the id of the cost topic, "" where they give none (Kafka
// before 2.8).
func costID(ctx context.Context, admin *kadm.Client) (string, error) {
	const topic = schemas.Prefix + schemas.StreamCost
	listed, err := admin.ListTopics(kadm.WithAuthorizedOps(ctx), topic) // see gap.Identify
	if err = errors.Join(err, listed.Error()); err != nil {
		return "", fmt.Errorf("ask for the id of %s: %w", topic, err)
	}
	if id := listed[topic].ID; id != (kadm.TopicID{}) {
		return id.String(), nil
	}
	return "", nil
}

// generationOf numbers the cost topic that the brokers have now, by its id.
// Brokers give a topic an id when it is created: a topic that was deleted and
// made again has another id, starts at offset 0, and must still win over the
// cells of the old one. So each id that a sink meets gets the next number. Two
// sinks that meet a new id at the same time give it the same number.
func generationOf(ctx context.Context, conn driver.Conn, id string, log *slog.Logger) (uint32, error) {
	if id == "" {
		log.Warn("the brokers give topics no ids (Kafka before 2.8): do not delete and recreate the cost topic, facts of the new one would lose against the old one's")
	}
	generation, err := storedGeneration(ctx, conn, id)
	if err == nil {
		log.Info("versions of cells", "generation", generation)
	}
	return generation, err
}

// storedGeneration looks an id up and stores it when it is new.
func storedGeneration(ctx context.Context, conn driver.Conn, id string) (uint32, error) {
	const table = clickhouse.Database + "." + clickhouse.TableGenerations
	var known, highest uint32
	var matches, all uint64
	err := conn.QueryRow(ctx, "SELECT countIf(topic_id = {id:String}), maxIf(generation, topic_id = {id:String}), count(), max(generation) FROM "+table+" FINAL",
		driver.NamedValue{Name: "id", Value: id}).Scan(&matches, &known, &all, &highest)
	if err != nil {
		return 0, fmt.Errorf("look up the generation of the cost topic: %w", err)
	}
	if matches > 0 && known < highest {
		// Its facts would be stored, and lose against older ones of the newer topic.
		return 0, fmt.Errorf("the ledger has facts of a newer cost topic (generation %d) than that of these brokers (generation %d): point the sink at the brokers of the newer one, "+
			"or at another ClickHouse; if these are the right brokers, stop processors and sinks, delete gpumeter.cost and start them again: the new topic wins", highest, known)
	}
	if matches > 0 {
		return known, nil
	}
	next := uint32(0)
	if all > 0 {
		next = highest + 1
	}
	if next > maxGeneration {
		return 0, fmt.Errorf("the cost topic was recreated %d times: versions have no room for more, move the ledger to a new database", next)
	}
	if err := conn.Exec(ctx, "INSERT INTO "+table+" (topic_id, generation) VALUES ({id:String}, {generation:UInt32})",
		driver.NamedValue{Name: "id", Value: id}, driver.NamedValue{Name: "generation", Value: fmt.Sprint(next)}); err != nil {
		return 0, fmt.Errorf("store the generation of the cost topic: %w", err)
	}
	return next, nil
}
