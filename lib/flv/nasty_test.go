package flv

import (
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

// dts lists the clock that a slicer would follow: the times of a track.
func dts(units []unit, track media.Track) (times []int64) {
	for _, u := range units {
		if u.Timed && u.Track == track {
			times = append(times, u.DTS.Ticks)
		}
	}
	return times
}

func kinds(units []unit) string {
	var s strings.Builder
	for _, u := range units {
		c := "HCSO"[u.Kind]
		if u.Defect != "" {
			c += 'a' - 'A'
		}
		s.WriteByte(c)
	}
	return s.String()
}

// TestNastyInputs has the inputs that streams in the wild consist of. Kinds are
// H, C, S, O for Header, Config, Sample, Opaque; lower case has a Defect.
func TestNastyInputs(t *testing.T) {
	start := join(fileHeader(), meta(), videoConfig(), audioConfig()) // HCCC
	v := func(ts uint32) []byte { return video(ts, ts%1000 == 0, 50) }
	damage := func(p []byte, at int, b ...byte) []byte {
		p = join(p)
		copy(p[at:], b)
		return p
	}
	text := []byte("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8\r\n\r\n")
	for _, tt := range []struct {
		name  string
		in    []byte
		kinds string
		video []int64
		check func(t *testing.T, u []unit)
	}{
		{"truncated last tag", join(start, v(0), v(40)[:30]), "HCCCSs", []int64{0, 40}, func(t *testing.T, u []unit) {
			if last := u[5]; !last.Truncated || last.size != 30 {
				t.Error(last)
			}
		}},
		{"truncated last tag: in the header", join(start, v(0), v(40)[:7]), "HCCCSo", []int64{0}, func(t *testing.T, u []unit) {
			if !u[5].Truncated {
				t.Error(u[5])
			}
		}},
		{"truncated last tag: in its size", join(start, v(0), v(40)[:len(v(40))-2]), "HCCCSs", []int64{0, 40}, func(t *testing.T, u []unit) {
			if !u[5].Truncated {
				t.Error(u[5])
			}
		}},
		{"DataSize wrong: too small", join(start, v(0), damage(v(40), 3, 20), v(80), v(120)), "HCCCSsoSS", []int64{0, 40, 80, 120}, resyncs(6, 7)},
		{"DataSize wrong: too large", join(start, v(0), damage(v(40), 3, 80), v(80), v(120), v(160)), "HCCCSsoSS", []int64{0, 40, 120, 160}, resyncs(6, 7)},
		{"DataSize wrong: too large by one", join(start, v(0), damage(v(40), 3, 56), v(80), v(120)), "HCCCSsoSS", []int64{0, 40, 80, 120}, nil},
		{"PreviousTagSize wrong, next header plausible", join(start, v(0), damage(v(40), 66, 0, 0, 0, 1), v(80)), "HCCCSsS", []int64{0, 40, 80}, resyncs()},
		{"PreviousTagSize always 0, media far from its headers", join(fileHeader(), damage(videoConfig(), len(videoConfig())-4, 0, 0, 0, 0), damage(v(2147470000), 66, 0, 0, 0, 0), damage(v(2147470040), 66, 0, 0, 0, 0)), "Hcss", []int64{2147470000, 2147470040}, resyncs()},
		{"garbage between tags", join(start, v(0), text, v(40), v(80)), "HCCCSoSS", []int64{0, 40, 80}, resyncs(5, 6)},
		{"garbage between tags: zeros", join(start, v(0), make([]byte, 100), v(40), v(80)), "HCCCSoSS", []int64{0, 40, 80}, resyncs(5, 6)},
		{"garbage between tags: one good tag in it is not enough", join(start, v(0), text, v(10), text, v(40), v(80)), "HCCCSoSS", []int64{0, 40, 80}, nil},
		{"garbage between tags: to the end", join(start, v(0), text), "HCCCSo", []int64{0}, nil},
		{"garbage between tags: the last tag", join(start, v(0), text, v(40)), "HCCCSoS", []int64{0, 40}, nil},
		{"non-FLV start", text, "o", nil, func(t *testing.T, u []unit) {
			if Detect(text) || !Detect(start) {
				t.Error("Detect")
			}
		}},
		{"zero-length tag", join(start, v(0), tag(typeVideo, 9_000_000), tag(typeAudio, 9_000_000), v(40)), "HCCCSOOS", []int64{0, 40}, nil},
		{"encrypted type", join(start, v(0), tag(typeVideo|encrypted, 40, payload(30)...), v(80)), "HCCCSOS", []int64{0, 40, 80}, nil},
		{"unknown type", join(start, v(0), tag(15, 40, payload(30)...), v(80)), "HCCCSOS", []int64{0, 80}, func(t *testing.T, u []unit) {
			if !u[5].Timed || u[5].DTS.Ticks != 40 {
				t.Error(u[5])
			}
		}},
		{"unknown codec", join(start, v(0), tag(typeVideo, 40, append([]byte{0x1e}, payload(30)...)...), v(80)), "HCCCSOS", []int64{0, 40, 80}, nil},
		{"DTS backwards <5 s", join(start, v(4000), v(1000), v(4080)), "HCCCSSS", []int64{4000, 1000, 4080}, nil},
		{"DTS jump >5 s", join(start, v(0), v(9_000_000)), "HCCCSS", []int64{0, 9_000_000}, nil},
		{"wrap 2^31", join(start, v(1<<31-20), v(20)), "HCCCSS", []int64{1<<31 - 20, 20}, nil},
		{"wrap 2^32", join(start, v(1<<32-20), v(20)), "HCCCSS", []int64{1<<32 - 20, 20}, nil},
		{"negative CTS", join(start, tag(typeVideo, 10, 0x27, 1, 0xff, 0xff, 0xd8, 1)), "HCCCS", []int64{10}, func(t *testing.T, u []unit) {
			if u[4].PTS.Ticks != -30 {
				t.Error(u[4])
			}
		}},
		{"no keyframe ever", join(start, v(40), v(80)), "HCCCSS", []int64{40, 80}, func(t *testing.T, u []unit) {
			for _, u := range u {
				if u.Key {
					t.Error(u)
				}
			}
		}},
		{"sequence header change", join(start, v(0), videoConfig(), v(1000)), "HCCCSCS", []int64{0, 1000}, nil},
		{"two onMetaData", join(start, v(0), meta(), v(40)), "HCCCSCS", []int64{0, 40}, nil},
		{"script tag unparsable", join(start, v(0), tag(typeScript, 20, payload(40)...), v(40)), "HCCCSOS", []int64{0, 40}, nil},
		{"script tag huge", join(start, v(0), tag(typeScript, 20, append([]byte("\x02\x00\x0aonMetaData"), payload(2<<20)...)...), v(40)), "HCCCSOS", []int64{0, 40}, nil},
		{"audio starts, stops", join(start, v(0), audio(3, 20), v(40), v(80), audio(90, 20)), "HCCCSSSSS", []int64{0, 40, 80}, nil},
		{"header flags lie", join([]byte("FLV\x01\xff\x00\x00\x00\x09\x00\x00\x00\x00"), v(0)), "HS", []int64{0}, nil},
		{"non-zero PreviousTagSize0", join([]byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x07"), v(0)), "hS", []int64{0}, nil},
		{"FLV header mid-stream", join(start, v(5000), start, v(0)), "HCCCSHCCCS", []int64{5000, 0}, resyncs()},
		{"FLV header mid-stream: behind half a tag", join(start, v(5000)[:40], start, v(0)), "HCCCsHCCCS", []int64{5000, 0}, func(t *testing.T, u []unit) {
			if u[4].Truncated || u[4].size != 40 {
				t.Error(u[4])
			}
		}},
		{"FLV header mid-stream: behind half a trailer", join(start, v(5000)[:len(v(0))-2], start, v(0)), "HCCCsoHCCCS", []int64{5000, 0}, nil},
		{"FLV header mid-stream: behind a tag without its trailer", join(start, v(5000)[:len(v(0))-4], start, v(0)), "HCCCsHCCCS", []int64{5000, 0}, nil},
		{"FLV header in a tag that is whole", join(start, v(0), tag(typeVideo, 40, join([]byte{0x27, 1, 0, 0, 0}, payload(40), start, payload(40))...), v(80)), "HCCCSSS", []int64{0, 40, 80}, resyncs()},
		{"FLV header in a tag that is too large to tell", join(start, tag(typeVideo, 0, join([]byte{0x17, 1, 0, 0, 0}, start, payload(5<<20))...)), "HCCCsHCCCo", []int64{0}, nil},
		{"end of sequence, out of order", join(start, v(40), tag(typeVideo, 9_000, 0x17, 2, 0, 0, 0), v(80)), "HCCCSOS", []int64{40, 80}, nil},
		{"server command", join(start, v(40), tag(typeVideo, 9_000, 0x57, 0), v(80)), "HCCCSOS", []int64{40, 80}, nil},
		{"tag of 5 MB", join(start, video(0, true, 5<<20), v(40)), "HCCCSS", []int64{0, 40}, nil},
		{"tag claims 16 MB", join(start, damage(v(0), 1, 0xff, 0xff, 0xff), v(40)), "HCCCs", []int64{0}, nil},
		{"joined in a tag", join(v(0)[20:], v(40), v(80)), "oSS", []int64{40, 80}, resyncs(0, 1)},
		{"joined one byte before a tag", join([]byte{9}, v(40), v(80)), "oSS", []int64{40, 80}, resyncs(0, 1)},
		{"joined at a tag", join(v(40), v(80)), "SS", []int64{40, 80}, resyncs(0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			units := whole(t, tt.in)
			if got := kinds(units); got != tt.kinds {
				t.Errorf("kinds %s, want %s", got, tt.kinds)
				for _, u := range units {
					t.Log(u)
				}
				return
			}
			if got := dts(units, media.Video); same(times(got), times(tt.video)) != "" {
				t.Errorf("video clock %v, want %v", got, tt.video)
			}
			if tt.check != nil {
				tt.check(t, units)
			}
			anyChunks(t, tt.in, 3)
		})
	}
}

func times(ts []int64) (units []unit) {
	for _, t := range ts {
		units = append(units, unit{at: int(t)})
	}
	return units
}

// resyncs wants just these units marked.
func resyncs(marked ...int) func(t *testing.T, units []unit) {
	return func(t *testing.T, units []unit) {
		for i, u := range units {
			want := false
			for _, m := range marked {
				want = want || m == i
			}
			if u.Resync != want {
				t.Errorf("unit %d: %v", i, u)
			}
		}
	}
}

func TestEnhancedTags(t *testing.T) {
	ex := func(frame, packet byte, rest ...byte) []byte {
		return append([]byte{0x80 | frame<<4 | packet}, rest...)
	}
	cc := func(s string, rest ...byte) []byte { return append([]byte(s), rest...) }
	nano := []byte{2, 0, 1, 2} // ModEx: a nanosecond offset of three bytes
	nal := func(kind byte) []byte { return []byte{0, 0, 0, 3, kind, 1, 0xaa} }
	for _, tt := range []struct {
		name  string
		kind  byte
		body  []byte
		want  media.Kind
		timed bool
		track media.Track
		key   bool
		cts   int64
		class Class
		idr   bool
	}{
		{"hevc sequence header", typeVideo, ex(1, 0, cc("hvc1", 1, 2)...), media.Config, false, media.Video, false, 0, VideoConfig, false},
		{"hevc keyframe with CTS", typeVideo, ex(1, 1, join(cc("hvc1", 0, 0, 80), nal(19<<1))...), media.Sample, true, media.Video, true, 80, NoConfig, true},
		{"hevc CRA is no IDR", typeVideo, ex(1, 1, join(cc("hvc1", 0, 0, 80), nal(21<<1))...), media.Sample, true, media.Video, true, 80, NoConfig, false},
		{"hevc frame without CTS", typeVideo, ex(2, 3, join(cc("hvc1"), nal(2))...), media.Sample, true, media.Video, false, 0, NoConfig, false},
		{"hevc negative CTS", typeVideo, ex(2, 1, cc("hvc1", 0xff, 0xff, 0xff, 9)...), media.Sample, true, media.Video, false, -1, NoConfig, false},
		{"avc1 frame with CTS", typeVideo, ex(2, 1, cc("avc1", 0, 0, 40, 9)...), media.Sample, true, media.Video, false, 40, NoConfig, false},
		{"av1 sequence header", typeVideo, ex(1, 0, cc("av01", 1, 2)...), media.Config, false, media.Video, false, 0, VideoConfig, false},
		{"av1 keyframe has no CTS", typeVideo, ex(1, 1, cc("av01", 1, 2, 3)...), media.Sample, true, media.Video, true, 0, NoConfig, true},
		{"av1 in transport stream form", typeVideo, ex(1, 5, cc("av01", 1, 2)...), media.Config, false, media.Video, false, 0, VideoConfig, false},
		{"vp9 frame", typeVideo, ex(2, 3, cc("vp09", 1)...), media.Sample, true, media.Video, false, 0, NoConfig, false},
		{"end of sequence", typeVideo, ex(1, 2, cc("hvc1")...), media.Opaque, false, media.Video, false, 0, NoConfig, false},
		{"HDR metadata", typeVideo, ex(1, 4, cc("hvc1", 2, 0, 9)...), media.Config, false, media.Video, false, 0, VideoMetadata, false},
		{"command", typeVideo, ex(5, 0, 0), media.Opaque, false, media.Video, false, 0, NoConfig, false},
		{"ModEx before a keyframe", typeVideo, ex(1, 7, join(nano, []byte{0x01}, cc("hvc1", 0, 0, 5, 9))...), media.Sample, true, media.Video, true, 5, NoConfig, false},
		{"two ModEx", typeVideo, ex(1, 7, join(nano, []byte{0x07}, nano, []byte{0x03}, cc("av01", 9))...), media.Sample, true, media.Video, true, 0, NoConfig, true},
		{"ModEx of 300 bytes is beyond the peek", typeVideo, ex(1, 7, join([]byte{255, 1, 43}, payload(300), []byte{0x01}, cc("hvc1", 0, 0, 5))...), media.Opaque, true, media.Video, false, 0, NoConfig, false},
		{"multitrack, one track", typeVideo, ex(1, 6, join([]byte{0x01}, cc("hvc1", 0, 0, 0, 7, 9))...), media.Sample, true, media.Video, true, 7, NoConfig, false},
		{"multitrack, many tracks", typeVideo, ex(1, 6, join([]byte{0x13}, cc("av01", 0, 0, 0, 2, 9, 9, 1, 0, 0, 1, 9))...), media.Sample, true, media.Video, true, 0, NoConfig, true},
		{"multitrack, many codecs", typeVideo, ex(1, 6, join([]byte{0x20}, cc("av01", 0, 0, 0, 2, 9, 9), cc("hvc1", 1, 0, 0, 1, 9))...), media.Config, false, media.Video, false, 0, VideoConfig, false},
		{"multitrack, second track", typeVideo, ex(1, 6, join([]byte{0x03}, cc("av01", 1, 9))...), media.Sample, true, media.Other, true, 0, NoConfig, true},
		{"multitrack, second track's header", typeVideo, ex(1, 6, join([]byte{0x00}, cc("av01", 1, 9))...), media.Config, false, media.Video, false, 0, VideoConfig + 1<<8, false},
		{"unknown packet type", typeVideo, ex(1, 12, cc("hvc1", 1)...), media.Opaque, true, media.Video, false, 0, NoConfig, false},
		{"legacy hevc header", typeVideo, []byte{0x1c, 0, 0, 0, 0, 1}, media.Config, false, media.Video, false, 0, VideoConfig, false},
		{"legacy hevc keyframe", typeVideo, append([]byte{0x1c, 1, 0, 0, 40}, nal(20<<1)...), media.Sample, true, media.Video, true, 40, NoConfig, true},
		{"classic keyframe", typeVideo, append([]byte{0x17, 1, 0, 0, 40}, nal(0x65)...), media.Sample, true, media.Video, true, 40, NoConfig, true},
		{"classic keyframe of an open GOP", typeVideo, append([]byte{0x17, 1, 0, 0, 40}, nal(0x61)...), media.Sample, true, media.Video, true, 40, NoConfig, false},
		{"H.263", typeVideo, []byte{0x22, 1, 2, 3}, media.Sample, true, media.Video, false, 0, NoConfig, false},
		{"opus header", typeAudio, append([]byte{0x90}, cc("Opus", 1)...), media.Config, false, media.Audio, false, 0, AudioConfig, false},
		{"opus frame", typeAudio, append([]byte{0x91}, cc("Opus", 1)...), media.Sample, true, media.Audio, true, 0, NoConfig, false},
		{"opus end", typeAudio, append([]byte{0x92}, cc("Opus")...), media.Opaque, false, media.Audio, false, 0, NoConfig, false},
		{"channel layout", typeAudio, append([]byte{0x94}, cc("Opus", 1, 2)...), media.Config, false, media.Audio, false, 0, AudioLayout, false},
		{"audio multitrack", typeAudio, append([]byte{0x95, 0x01}, cc("mp4a", 0, 9)...), media.Sample, true, media.Audio, true, 0, NoConfig, false},
		{"mp3", typeAudio, []byte{0x2f, 1, 2, 3}, media.Sample, true, media.Audio, true, 0, NoConfig, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tag(tt.kind, 1000, tt.body...)
			in := join(fileHeader(), p, audio(1003, 10))
			units := whole(t, in)
			if len(units) != 3 {
				t.Fatal(units)
			}
			u := units[1]
			if u.Kind != tt.want || u.Timed != tt.timed || u.Track != tt.track || u.Key != tt.key {
				t.Error(u)
			}
			if u.Timed && (u.DTS.Ticks != 1000 || u.PTS.Ticks != 1000+tt.cts) {
				t.Error(u)
			}
			if c := ConfigClass(p); c != tt.class {
				t.Errorf("class %d, want %d", c, tt.class)
			}
			if c := ConfigClass(p[:len(p)-4]); c != tt.class {
				t.Errorf("class without trailer %d, want %d", c, tt.class)
			}
			if idr := IDR(p); idr != tt.idr {
				t.Errorf("IDR %v, want %v", idr, tt.idr)
			}
			anyChunks(t, in, 4)
		})
	}
}

func TestDescribe(t *testing.T) {
	bomb := append([]byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x01a"), "\x0a\xff\xff\xff\xff\x00\x00\x09"...)
	for _, tt := range []struct {
		tag  []byte
		want string
	}{
		{meta(), "onMetaData width=640"},
		{videoConfig(), "H.264 sequence header, avc1.64001F"},
		{audioConfig(), "AAC sequence header, mp4a.40.2, 2 channels"},
		{tag(typeVideo, 0, append([]byte{0x90}, "av01"...)...), "av01 sequence header"},
		{tag(typeScript, 0, bomb...), "onMetaData, not readable"},
		{video(0, true, 30), ""},
		{nil, ""},
	} {
		if got := Describe(tt.tag); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	in := ffmpegFile(t)
	u := whole(t, in)[1]
	if got := Describe(in[u.at:][:u.size]); !strings.Contains(got, " width=320") {
		t.Errorf("ffmpeg's metadata: %q", got)
	}
}
