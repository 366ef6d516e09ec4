package abr

// A muxer writes frames as one stream in its container.
type muxer interface {
	// begin writes what stands before the first frame.
	begin(video, audio *lane)
	// video writes a picture. Where inband is set, a key frame gets the parameter
	// sets of its configuration in band.
	video(s *sample, inband bool)
	audio(s *sample)
	// other writes what is not understood.
	other(s *sample)
	// flush writes what is held back; whole says: only if it is a whole fragment.
	flush(whole bool)
}
