package natprobe

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// How long a mapping lives is found out with one socket for each idle time: the
// responder is asked for an answer that comes so much later, and it comes or not.
// Many boxes keep a flow of one exchange shorter than one that has been active,
// so both are tried. The questions have three steps: a token (the responder
// answers late only who proves his address), for an active flow another
// exchange 2.2 s later, and the late answer.

// lifeEvery is between the beginnings of two sockets.
const lifeEvery = 100 * time.Millisecond

// lifetime starts the test, if a responder can do it.
func (p *Prober) lifetime(now time.Time) {
	i := slices.IndexFunc(p.list, func(q *question) bool {
		return q.Test == TestMapping && q.Outcome == Answered && q.answer.help&wire.HelpDelay != 0
	})
	if i < 0 {
		return
	}
	to := p.list[i].To
	for n, idle := range idleTimes {
		for k, active := range []bool{false, true} {
			s := lifeSocket + machine.Socket(2*n+k)
			if q := p.ask(now, TestLifetime, s, to, wire.STUNQuery{Token: true}); q != nil {
				q.Idle, q.Active = idle, active
				// One after another: a responder limits what one address may ask.
				q.restart(now.Add(time.Duration(2*n+k)*lifeEvery), p.began, q.query, probeTries)
			}
		}
	}
}

// receiveLifetime takes the answer in p.msg to one of its steps.
func (p *Prober) receiveLifetime(now time.Time, q *question) {
	if len(q.query.DelayToken) > 0 {
		q.Outcome, q.From, q.Mapped = Answered, q.To, p.msg.Mapped
		p.plan(now)
		return
	}
	token := slices.Clone(p.msg.Token)
	if addr, _, err := token.Parse(); err != nil || addr != p.msg.Mapped {
		q.Outcome = Unsupported // over its limit of signatures
		p.plan(now)
		return
	}
	if q.Active && q.answer.token == nil {
		q.answer.token = token
		q.restart(now.Add(settle), p.began, wire.STUNQuery{Token: true}, probeTries)
		return
	}
	q.restart(now, p.began, wire.STUNQuery{Delay: uint32(q.Idle / time.Second), DelayToken: token}, 2)
}

// restart makes a question the next of its steps.
func (q *question) restart(at, began time.Time, query wire.STUNQuery, tries int) {
	q.query, q.max, q.due, q.Start = query, tries, at, at.Sub(began)
	q.ids, q.sent = q.ids[:0], q.sent[:0]
}
