// Package node is one member of any number of rooms: its connections (package
// xntp), its swarms (swarm), its players (playout), and the STUN that tells it
// its own address, composed into one machine.Machine on one socket.
//
// The owner runs it on a driver (package endpoint or simnet), and drains
// NextEvent in the driver's step. What needs other I/O than datagrams is an
// event out and a command in:
//
//	EventSignal      → send it to the room's tracker      → Signal with what the tracker says
//	EventNeedOrigin  → ask the room's origin              → Supply with each record of the answer, then Done
//	EventStopOrigin  → cancel that request
//	EventOutput      → write Record.Body[Skip:]
//	EventOpenSocket  → open a UDP socket, a TURN allocation or a TCP carrier → Opened
//	EventCloseSocket → close it (LostSocket tells of one that has ended by itself)
//	EventObserveTCP  → ask a STUN server over TCP → ObservedTCP
//
// A viewer:
//
//	n := node.New(node.Config{Key: …, Rand: …, Entropy: …, Hosts: …})
//	n.Join(now, node.Room{Name: "match", Key: roomKey, Seeds: doc.Seeds, STUN: …, Start: start})
//
// Join asks the origin for the start at once, dials the seeds of the room
// document at once, and says hello to the tracker as soon as a STUN server has
// told the address (or has not, for half a second). A seed joins its own room in
// the same way, with Config.Role RoleSeed, and gives it records with Offer as
// they come from the slicer; it has no output.
//
// # Signalling
//
// After the connection to the tracker is made anew (the tracker restarted, the
// network changed) call Reconnected: the node then says hello again. While the
// tracker is gone nothing changes for those who are in: the swarm needs it only
// to meet new neighbours.
//
// # Connections
//
// A connection to a neighbour serves all rooms that both are in. Of two members
// the one with the lower public key dials, the other expects it, and dials after
// a second if nothing came. Seeds are always dialed. The HELLO of the first
// room travels in the first datagram.
package node
