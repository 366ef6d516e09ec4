package rival

// A Repeater is a Conn that counts what it sent again.
type Repeater interface {
	// Repeated is how many bytes were sent that had been sent before, of how
	// many in all; ok is false if nobody knows.
	Repeated() (part, of int64, ok bool)
}
