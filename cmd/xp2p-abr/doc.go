/*
Command xp2p-abr writes one stream of several renditions of a source, switching
between them so that nobody sees or hears it.

	xp2p-abr 240p.flv 720p.flv --plan 'at=12s:720p,at=30s:240p' | ffplay -
	xp2p-abr low=<(xp2p-peer http://seed/low) high=<(xp2p-peer http://seed/high) --auto | ffplay -
	xp2p-abr inspect 240p.mp4 720p.mp4

Usage:

	xp2p-abr [flags] [NAME=]SOURCE [NAME=]SOURCE…
	xp2p-abr inspect [flags] [NAME=]SOURCE [NAME=]SOURCE…

A source is a file, a pipe (/dev/fd/N, or "-" for stdin), a slice stream of
xp2p-slice, or an http or https URL: FLV or fragmented MP4, H.264 or HEVC, all of
one container and one codec. Its name is what stands before "=", else the name
of the file without its ending. The first rendition is played first, unless the
plan begins at 0s. The stream goes to stdout in the same container.

# Switching

A switch asked for at a time happens at the new rendition's next IDR from there
on: a picture from which a decoder shows everything. The flag that containers
give to keyframes is not believed, since it also stands on open GOPs. The old
rendition must be able to end there: none of its pictures shown before may be
decoded behind one that is left out. Where it cannot, a bridge of a few pictures
leads there, or, without ffmpeg, the next IDR is waited for. It is never cut
where pictures would break.

With --switch now a bridge begins within 100 ms of the asked moment: from there
to its next IDR the new rendition is encoded anew, by an ffmpeg that is started
one GOP ahead where the plan tells. Where there is none, or nothing of the new
rendition to decode it from, the next IDR is taken, and a message says so.

Until the first switch FLV is passed on byte for byte. From then on every keyframe gets
the parameter sets of its rendition in band, and where a rendition begins stands
its configuration: a sequence header, or a new init made of the first one. Players
differ in which of the two they need. No other byte of a frame changes unless it
is encoded anew. Fragments of MP4 are written anew, with the first rendition's
track IDs and edit lists, and one timescale in which the ticks of all are whole.
Parameter sets of HEVC say from the first on that as many pictures are out of order
as in the rendition with most B-frames: players hold back so many from the beginning.

Sound stays with the first rendition, and goes over to the other at the border
between two frames if its configuration is another, or the first one's ends.

# Clocks

Renditions whose times began at different moments are aligned by their sound, the
sizes of their pictures or their rhythm. Equal sound tells after a second or two, pictures
alone may need half a minute. When a switch is asked for before that is known, files
are read ahead for their times alone, up to 256 s. Of pipes and URLs the stream waits
until 8 s of both are read, and for up to 64 s if they come fast; if they come slowly, or
are too much to hold, the stream goes on and the switch waits, with a message. An
offset is taken if the confidence in it is at least 0.99. Where nothing tells so surely,
the switch is refused; --trust takes the times as they are.

The timeline of the output is that of the first rendition. Times in plans and
events count from the first picture written. Wraps (at 2^31 or 2^32 ms) go on; a
timeline that jumps by more than 5 s is moved to go on, with a message.

# Control

--control reads commands, one a line, from a file, a named pipe or a descriptor:

	switch 720p            as --switch says
	switch 720p now
	switch 240p keyframe

# Choosing

--auto chooses by a published rule, BOLA and throughput together: up when the
throughput of the inputs sustains a better rendition, down when the buffer of a
player at stdout, which began with the first byte and plays at the stream's
speed, would not last. Rates are measured. It goes with --control, which it may
overrule a second later.

# When something goes wrong

A rendition that ends, gives nothing for --stall, or changes its codec is left for
another at that one's next IDR; what is missing between is said on stderr. If a
bridge's ffmpeg fails, the next IDR is taken. In all these cases the stream goes on
with what is there, and the exit code is 3.

# Flags

  - --plan at=TIME:NAME,at=TIME:NAME: when to switch, and to what
  - --control FILE|fd:N: read commands while running
  - --switch keyframe|now: at the new rendition's next IDR, or at the asked moment (default keyframe)
  - --auto: choose by throughput and buffer
  - --buffer DURATION: how much the player at stdout holds when all is well (default 10s)
  - --trust: take the renditions' clocks as they are
  - --events FILE: write what happens, as JSON Lines
  - --stall DURATION: go on without a rendition that gives nothing for so long (default 5s)
  - --ffmpeg PROGRAM: encodes bridges; with --ffmpeg= there are none (default ffmpeg)
  - -o, --output FILE: write a file instead of stdout; "-" is stdout even if that is a terminal

Flags of inspect:

  - --json: JSON Lines instead of text
  - --span DURATION: how much of each rendition to look at (default 10m)

# Inspecting

"inspect" compares renditions with the first one: offset and confidence, GOPs, where
IDR pictures are together and whether one can end where the other begins,
B-frames, codecs, sound. For each thing that stands in the way of a switch it says
what to tell the encoder, as arguments for ffmpeg. It ends with code 3 if a switch could be
seen or heard.

# JSON

--events writes an object for each switch: type "switch", from, to, asked_ms,
at_ms (of the stream, from its first picture on), mode ("keyframe" or "bridge"),
reason ("plan", "control", "ended", "stalled", "codec", or "auto: …" with the rule's).
For each bridge follows one of type "bridge": to, ahead_ms (how much of the stream was to
be written before it was needed), ready_ms (how long its first pictures were in
coming), length_ms (how much of the stream it made up), cpu_ms (CPU time of ffmpeg).

"inspect --json" writes one object: type "inspect", renditions, pairs, findings;
a finding has code, severity ("broken" or "limited"), rendition, other, what and
cure.

# Exit status

	0    done, or the player closed
	1    failed
	2    wrong flags or arguments
	3    the stream is written, but something was not as it should be; inspect: a switch could be seen or heard
	4    bad data: neither FLV nor MP4, or renditions of different containers
	5    a URL does not answer
	130  interrupted by SIGINT
	143  interrupted by SIGTERM
*/
package main
