// Package share shares the work of a controller between instances of it: each trace is followed by one of them, and the containers of each function are
// decided on by one, whatever instances come and go.
//
// There are two stages, with a log between them that is in partitions, such as a topic of Kafka:
//
//	spans, by trace ─▶ Predictors ─▶ observations and demands, by function ─▶ Deciders ─▶ containers
//	                       ▲                                                     │
//	                       └──────────── supplies, by function ◀─────────────────┘
//
// [Predictors] follow the traces of the partitions that an instance has, and write for each function what was observed of it and what is still expected of each
// trace, with a time at which that is void. [Deciders] are an engine of package controller that decides on the functions of the partitions that the instance has.
// What containers there are goes back to all predictors.
//
// What is known of a partition depends on nothing but what is in it. An instance that gets one reads what was written in the last minutes again, in the order and as of
// the times in which it was written, and then goes on as whoever had it before would have.
//
// # Who acts
//
// Who gets a partition of demands writes a [Claim] into it. What a decider wants started, or whose idle time is to be renewed, it writes into the partition
// too ([Asked]), and does it when that comes back, unless another has claimed the partition in between: the order in the log decides, no clock. What has become of it is
// written as well ([Done]), so that an heir knows the containers that were started before it, or kept by renewals. What was asked for and not read by one that gives the partition up is
// said not to be done.
package share
