// Package swarm is one room as its members see it: the neighbours, what each of
// them holds, who gets a piece from whom, and what is asked for where pushing
// left a hole.
//
// A [Swarm] is a value without clock, socket or connection. Its owner (package
// node) brings it what happened (Connected, Receive, Delivered, Offer, …) and
// carries out what it decided (Next): send this object to that neighbour, take
// that record, leave that neighbour. Time comes in as an argument, randomness at
// construction; neighbours are walked in the order of their names, so that the
// same history gives the same decisions.
//
// # Trust
//
// A record is verified against the room's key before it is kept, handed on or
// played: first the signature over its descriptor, then its bytes. Who sends
// one that does not verify is left at once, and banned from the room: the bytes
// travelled encrypted and authenticated, so it was he who changed them, or who
// handed them on unverified. What he sent before had verified, and stays.
//
// # Pushing
//
// Who gets a new piece is package topology's to say (Route). In a balanced room
// the groups stand on several levels. A seed hands each piece to its owner in each
// group below it, flagged "distribute"; an owner hands it to an owner in each
// group below his own, and then pushes it to all fellows, who push it to nobody.
// Where some cannot connect to each other, he flags one fellow's copy too, and so
// leaves to him those whom both reach.
// In a tree a piece flows to all below. In a mesh the seed hands it to a few
// entries, and it spreads by HAVE and WANT.
//
// What is to leave waits here, not in the network: all connections share one
// uplink, and what is given to several at once leaves by turns, the first as late
// as the last. So a piece is given to its connection when the one before has
// nearly left, which the receivers' times of arrival tell (xntp.Event.Left) and the
// measured rate foretells. What matters goes first: pieces that others will hand
// on, then what somebody's player needs soon, then the rest, each by the time at
// which it should leave.
//
// Neighbours say until when pieces are of use to them (DUE): what comes later they
// have from the origin by then. So nothing is sent that would come too late, and
// who will not get it is told at once (BUSY), while there is time to turn to
// another. Where uplinks are short, that is what keeps them from being spent on
// copies that come in vain. Who lives on a stream from the origin for seconds says
// that later pieces are of use to him too, and calls off no copy of what it brought:
// else none would come, and he would not see that the neighbours bring everything
// again.
//
// Three things keep a stripe from dying with its owner. Whoever hands a piece on
// watches that it is acknowledged: if not in time, another member gets it, and the
// slow one is no owner for a while. When the tracker says that a neighbour has
// left, what it was given of late, or waits here for it, goes to another of its
// group; a seed gives a group that is new below it the newest pieces too, for
// those who fed it may be gone. And uplinks are told from neighbour to neighbour
// (HELLO), so that pieces are dealt by them.
//
// # Pulling
//
// A piece is missing when it is known to exist (a later one came, or a neighbour
// has it) and is not here. In a balanced room it is given a grace to come by
// itself; the grace follows what is usual (pieces take different ways), as TCP's
// reordering window does. Where a whole group lacks it, the fellow whose piece it
// is asks those above, and gives it to the others; these ask for themselves a
// little later. What somebody below asks for and is lacking here too is needed here
// as soon as there, however much our own player has in store: so a request runs up
// to where the piece is, and the answer leaves before all that is new. It is asked
// for: of those who said that they hold it, the one that will have sent it first
// (RTT, and what was asked of him already over his goodput); of a likely fellow, or
// of one above, who keeps the request until he has it; and of a seed at last. A
// request that is not answered in time costs its neighbour trust and is put to
// another. Requests that the player needs soon go first; the rest rarest first, or,
// where a room is joined before it is played (Config.Patient), in order, a few at a
// time, and of viewers only. The origin is not asked here: package playout does that
// when a deadline nears, and while it answers well nothing is asked of
// neighbours that would come after it.
//
// A seed that is asked for a piece which it has just handed to the group waits
// a little before it answers: the piece is on its way, and all of a group who miss
// it at once shall not be served by the seed. Who got a piece by asking, or from the
// origin, tells it at once to those who lack it.
//
// # Starting
//
// Where the origin has no room for a newcomer (or has not answered by then), he
// begins with what neighbours have. His HELLO says that he has nothing to play;
// they tell him their newest keyframe with all that follows it (HAVE), and what
// they have only heard of, so that the word does not wait for the bytes. He asks
// for the first pieces at once, for the very first of two of them, says where he begins (FROM), and is sent nothing
// before it.
//
// Who joins some way behind the edge, because he will play soon what he fetches now
// (Config.Patient), says that he is behind (HELLO): he is pushed nothing, is told
// sooner of what there is, and asks for it in order, for as many pieces at once as his
// link bears. When he lacks hardly any he says HELLO again, and is one of the others.
//
// When those who were to bring them have left, pieces can be lost of which nothing
// here tells. Then who feeds us is asked for what there must be by the clock of the
// stream: the end of a segment, once one of the next has come, and what is next,
// when nothing new has come for a while.
//
// # Politeness
//
// What a member gives may be bounded ([Polite]): by what its owner allows for a
// month, by what it got itself, by a link that is paid for by the byte. Shortly
// before a bound is reached it tells all neighbours that it does not upload, and
// is then like one that never did; it begins again when there is enough to give
// that it pays, and shows what it has. And it yields to what else uses the
// uplink: when what goes to several neighbours stands in a queue for long, it gives
// less until that is gone.
//
// # Receipts
//
// A member signs for each neighbour, seeds excepted, how much it has had of it
// (wire.Receipt), every ten seconds at the most and more rarely as time goes on.
// The neighbour shows the tracker the newest that it has of everybody. Who is
// gone before he got his last one has it shown by the receiver. The account with
// a neighbour outlives the connection, so that its receipts only grow; it also
// remembers what did not verify.
//
// The tracker knows from the receipts who takes and gives nothing, and says so in
// its lists (standing). Such neighbours are served last: they wait behind all
// others for the upload budget, and their requests are declined while it is
// short.
//
// # Bounds
//
// The window of pieces is bounded in time and bytes; neighbours, unacknowledged
// bytes and open requests per neighbour, waiting pushes and held requests are
// bounded too, each beside its constant. What does not fit is not sent, and who
// lacks it asks.
package swarm
