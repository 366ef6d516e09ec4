// Package many measures one XNTP endpoint with many connections over loopback, each
// of which carries objects at a low rate: how late they are, what an idle connection
// holds, how often the endpoint wakes, and what is left of the rates while strangers
// flood it with Initials. Both ends are in this process; each peer has a key and a
// socket of its own.
package many
