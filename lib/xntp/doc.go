// Package xntp is XNTP, the transport between peers: encrypted connections over
// UDP that carry objects with a class, a priority and a deadline.
package xntp
