//go:build !linux

package endpoint

type socketSys = plainSys

type plainSys struct{ plainIO }

func (y *plainSys) init(s *socket, _ bool) error {
	y.dontFragment(s.conn, s.v6)
	return nil
}

// messageRoom is the memory of a message that is read.
const messageRoom = maxDatagram

type batchSys struct{}

func (batchSys) init(*batch) {}
