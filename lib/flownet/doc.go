// Package flownet carries the connections of simulated nodes as flows: an object
// on its way is one transfer through the two access links, not a dozen packets
// and their acknowledgements. So thousands of nodes, all of them the shipped
// code from package node upwards, run in one process: a thousand faster than in
// real time on one core, ten thousand some ten times slower. What runs over
// packets is package xntp, in the same simulation (bench, --link).
//
// # The model
//
// A host has one server for its uplink. It serves transfers whole, the lowest
// priority number first and among equals the oldest, at the link's rate; a
// server is never taken from a transfer that it has begun. That is what a sender
// comes to that keeps its queue at home, as package swarm does; and a control
// message or an acknowledgement waits for the rest of one piece, as it would wait
// in a short droptail queue. Behind it lie the delays of both access links and of
// the path, and the receiver's downlink, first come first served.
//
// A connection paces: its first transfers leave at what a first flight of 48 packets
// in a round trip allows (a train and a chirp, as package congestion sends them), and
// each one that fills the window doubles it, up to a bound. What pacing delays does
// not hold up the server, nor is it part of a round trip. The handshake takes one
// round trip, with the early request in its first half. An acknowledgement takes one
// way back. Whoever is gone acknowledges nothing, and is given up after 15 s, as by
// package xntp.
//
// Sizes: every transfer costs its bytes and a packet's header, tag and frame for
// each 1,472 bytes; small objects of one moment share a packet; acknowledgements take
// their bytes of the way back, those of small objects together where they can wait.
// The numbers stand beside their constants.
//
// What is not modelled: loss and what follows from it, the interleaving of
// objects on one uplink, migration. Against packets (--link packet), in rooms of 30
// at 2 Mbit/s where uplinks carry twice the stream, means of eight seeds, the peer
// share differs by 0.3 points (balanced), 0.6 (mesh) and 0.7 (tree), the 95th
// percentile of the added lag by 1, 9 and 1 %. A tree differs more from seed to seed
// than from model to model. At 600 kbit/s, and where uplinks are short, it is three
// points and a fifth to either side.
package flownet
