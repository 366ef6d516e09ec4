package switching

import (
	"bufio"
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
}

func decode(ctx context.Context, path string) (*decoder, error) {
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "quiet", "-nostdin", "-threads", "1", "-i", path, "-map", "0:v:0",
		"-vf", fmt.Sprintf("scale=%d:%d:flags=bicubic,format=gray", width, height), "-fps_mode", "passthrough", "-f", "rawvideo", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &decoder{cmd, bufio.NewReaderSize(out, 1<<20), make([]byte, width*height)}, cmd.Start()
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

// likeness is the PSNR of every picture against the source's.
func likeness(ctx context.Context, source, path string) ([]float64, error) {
	s, err := decode(ctx, source)
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, err := decode(ctx, path)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var all []float64
	for {
		b, err := p.next()
		if err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, err
		}
		a, err := s.next()
		if err != nil {
			return append(all, 0), nil // more pictures than the source
		}
		all = append(all, psnr(a, b))
	}
}
