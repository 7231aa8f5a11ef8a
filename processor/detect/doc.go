// Package detect is the Kafka shell around the pure detectors (package idle): it
// reads gpumeter.activity as a member of a consumer group and writes
// gpumeter.findings, one detector for each partition that it owns.
//
//	poll ─► decode ─► Detector.Add ─► findings ─┐
//	                                            ├─► one transaction, into the same partition of findings
//	        offset + Position ──────────────────┘
//
// Nothing waits: what a poll brings is folded and, when it led to a finding,
// committed at once. Without findings there is no hurry, and offsets are committed
// once a second.
//
// A Position, kept as the metadata of the committed offset, says from where on a
// detector must have read. A new owner tells a fresh detector the findings of the
// partition, all of them, lets it read again what lies between the position and
// the committed offset without deciding anything, and goes on: each revision of
// each finding is published exactly once. For that, the record of a finding says at
// which offset of activity it was decided.
package detect
