package flv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	goflv "github.com/yutopp/go-flv/tag"
)

// Describe says in words what a configuration tag (whole, with its header)
// means; "" if it is none. It serves people who look at a stream: nothing is
// decided by it.
func Describe(p []byte) string {
	body, _ := bodyOf(p)
	switch ConfigClass(p) & 0xff {
	case Metadata:
		return describeScript(body)
	case VideoConfig:
		e := parseVideo(body)
		if b := body[e.data:]; e.codec == avc1 && len(b) >= 4 {
			return fmt.Sprintf("H.264 sequence header, avc1.%02X%02X%02X", b[1], b[2], b[3])
		}
		return fourCC(e.codec) + " sequence header"
	case AudioConfig:
		e := parseAudio(body)
		if b := body[e.data:]; e.codec == mp4a && len(b) >= 2 {
			return fmt.Sprintf("AAC sequence header, mp4a.40.%d, %d channels", b[0]>>3, b[1]>>3&15)
		}
		return fourCC(e.codec) + " sequence header"
	case VideoMetadata:
		return fourCC(parseVideo(body).codec) + " colour information"
	case AudioLayout:
		return fourCC(parseAudio(body).codec) + " channel layout"
	}
	return ""
}

func fourCC(c uint32) string {
	return strings.TrimSpace(string(binary.BigEndian.AppendUint32(nil, c)))
}

// describeScript lists what onMetaData holds, by name.
func describeScript(b []byte) (s string) {
	const unread = "onMetaData, not readable"
	if name, rest := scriptName(b); name == "@setDataFrame" {
		b = rest
	}
	_, value := scriptName(b)
	if amfSize(value, 0) < 0 {
		return unread
	}
	defer func() {
		if recover() != nil { // the decoder is not written for hostile input
			s = unread
		}
	}()
	var data goflv.ScriptData
	if err := goflv.DecodeScriptData(bytes.NewReader(b), &data); err != nil {
		return unread
	}
	var words []string
	for _, object := range slices.Sorted(maps.Keys(data.Objects)) {
		fields := data.Objects[object]
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			switch v := fields[k].(type) {
			case float64, bool, string:
				words = append(words, fmt.Sprintf("%s=%v", k, v))
			}
		}
	}
	return strings.Join(append([]string{"onMetaData"}, words...), " ")
}

// amfSize returns the length of the AMF0 value that b begins with, or -1. It
// keeps counts that exceed the bytes, and endless nesting, from the decoder,
// which allocates by claim.
func amfSize(b []byte, depth int) int {
	if len(b) == 0 || depth > 8 {
		return -1
	}
	n := 1
	switch b[0] {
	case 0: // number
		n = 9
	case 1: // boolean
		n = 2
	case 2: // string
		n = 3
		if len(b) >= 3 {
			n += int(binary.BigEndian.Uint16(b[1:]))
		}
	case 5, 6: // null, undefined
	case 11: // date
		n = 11
	case 8, 3: // ECMA array: a count that nobody trusts, then an object
		if b[0] == 8 {
			n = 5
		}
		for {
			if len(b) < n+3 {
				return -1
			}
			key := int(binary.BigEndian.Uint16(b[n:]))
			if key == 0 && b[n+2] == 9 {
				return n + 3
			}
			n += 2 + key
			size := -1
			if n < len(b) {
				size = amfSize(b[n:], depth+1)
			}
			if size < 0 {
				return -1
			}
			n += size
		}
	case 10: // strict array
		if len(b) < 5 {
			return -1
		}
		count := int(binary.BigEndian.Uint32(b[1:]))
		if count > len(b) {
			return -1
		}
		n = 5
		for range count {
			size := amfSize(b[min(n, len(b)):], depth+1)
			if size < 0 {
				return -1
			}
			n += size
		}
	default:
		return -1
	}
	if n > len(b) {
		return -1
	}
	return n
}
