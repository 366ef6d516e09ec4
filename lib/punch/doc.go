// Package punch finds a way between two peers behind NATs (RFC 8445's idea, without
// its state machine): a machine that opens sockets, exchanges what is known with
// the other side through a tracker, and sends checks until one is answered.
//
// # A session
//
// One of the two offers, the other answers (wire.SignalPunch); both tell what kind
// of NAT they are behind and where a server has seen them. From the two kinds
// follows the way (nat.WayBetween), and from the way what each opens and whither it
// sends:
//
//   - Direct: to every address that the other was seen at, from the first socket.
//   - Predicted: who gives out ports one by one sends ten sockets' questions to a
//     server in one burst, which shows the last port and the step; the other sends to
//     the next 48. Where both do, the one who offers sends to every port (baby steps)
//     and the other to every second (giant steps): with e and f ports that strangers
//     have taken meanwhile they meet at the packets e+2f+1 and e+f+1.
//   - Birthday: who gives out ports at random sends from 512 sockets to the other,
//     and the other to up to 1024 ports of the range that was seen, 250 at once, then a
//     thousand a second: 512 of 64512 and 1024 tries miss each other once in 3000 times. What
//     is sent from or to so many ports fills a home router's table: of 1024 entries in
//     a minute an attempt takes half, as a rule.
//   - Over TCP, where UDP does not pass at one: both connect from a port at which a
//     server has just seen them to where the other was seen, at one time.
//   - Relayed: from an allocation at a relay to the other, and back.
//
// The answer leaves behind what opens the answerer's NAT: packets that live a few
// hops only. So the offerer's first check meets an open NAT, and no NAT sees the
// other side's packet before its own host's, which some, Linux among them, do not
// forgive: they give the flow another port then. A round that fails is followed by
// one with fresh sockets, which the other side offers; there are three.
//
// # Checks
//
// A check (wire.Punch) carries a MAC with a key that the tracker gave to the two of
// them for this session. One without it changes nothing. It may come from any port,
// for that of a symmetric NAT nobody can know before, but from no address that the
// tracker did not pass on; it is answered with a packet of the same size. A way is
// found when one's own check was answered from where it was sent to. Then who
// offered first connects, and a connection ends the session (Done).
package punch
