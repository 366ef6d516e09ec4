package switching

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os/exec"
)

// A decoder gives the pictures of a stream, one after the other.
type decoder struct {
	cmd *exec.Cmd
	out *bufio.Reader
	buf []byte
	say bytes.Buffer // what ffmpeg says
}

func decode(ctx context.Context, path string) (*decoder, error) {
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "warning", "-nostdin", "-threads", "1", "-i", path, "-map", "0:v:0",
		"-vf", fmt.Sprintf("scale=%d:%d:flags=bicubic,format=gray", width, height), "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "rawvideo", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d := &decoder{cmd: cmd, out: bufio.NewReaderSize(out, 1<<20), buf: make([]byte, width*height)}
	cmd.Stderr = &d.say
	return d, cmd.Start()
}

// next returns the next picture, which is valid until the one after it.
func (d *decoder) next() ([]byte, error) {
	_, err := io.ReadFull(d.out, d.buf)
	return d.buf, err
}

func (d *decoder) close() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

func psnr(a, b []byte) float64 {
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		sum += d * d
	}
	if sum == 0 {
		return 99
	}
	return 10 * math.Log10(255*255*float64(len(a))/float64(sum))
}

// all returns all pictures of a stream.
func all(ctx context.Context, path string) (p [][]byte, err error) {
	d, err := decode(ctx, path)
	if err != nil {
		return nil, err
	}
	for {
		b, err := d.next()
		if err == io.EOF {
			return p, d.cmd.Wait()
		} else if err != nil {
			d.close()
			return nil, err
		}
		p = append(p, bytes.Clone(b))
	}
}

// likeness is the PSNR of every picture against that of the source which which says,
// and what ffmpeg says while it decodes.
func likeness(ctx context.Context, source [][]byte, which []int, path string) (all []float64, say string, err error) {
	p, err := decode(ctx, path)
	if err != nil {
		return nil, "", err
	}
	for {
		b, err := p.next()
		if err == io.EOF {
			_ = p.cmd.Wait()
			return all, p.say.String(), ctx.Err()
		} else if err != nil {
			p.close()
			return nil, "", err
		}
		a := make([]byte, len(b)) // more pictures than there should be: like none of it
		if n := len(all); n < len(which) && which[n] < len(source) {
			a = source[which[n]]
		}
		all = append(all, psnr(a, b))
	}
}
