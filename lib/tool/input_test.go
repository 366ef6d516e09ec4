package tool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

func TestInputGivesEveryByteInOrder(t *testing.T) {
	want := make([]byte, 5<<20)
	for i := range want {
		want[i] = byte(i * i >> 7)
	}
	for name, r := range map[string]io.Reader{
		"whole":           bytes.NewReader(want),
		"halves":          iotest.HalfReader(bytes.NewReader(want)),
		"error with data": iotest.DataErrReader(bytes.NewReader(want)),
	} {
		got, err := io.ReadAll(NewInput(t.Context(), r))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	whole, in := []byte(nil), NewInput(t.Context(), bytes.NewReader(want))
	for {
		p, err := in.Next()
		if err == io.EOF {
			break
		} else if err != nil || len(p) == 0 {
			t.Fatalf("next: %d bytes, %v", len(p), err)
		}
		whole = append(whole, p...)
	}
	if !bytes.Equal(whole, want) {
		t.Errorf("next by next: %d bytes", len(whole))
	}
	broken := NewInput(t.Context(), io.MultiReader(bytes.NewReader(want[:10]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if got, err := io.ReadAll(broken); len(got) != 10 || err != io.ErrUnexpectedEOF {
		t.Errorf("a broken source: %d bytes, %v", len(got), err)
	}
}

func TestInputSaysWhetherItWouldWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		in := NewInput(t.Context(), r)
		if !in.WouldWait() {
			t.Error("nothing has arrived, and it would not wait")
		}
		w.Write([]byte("abc"))
		synctest.Wait()
		if in.WouldWait() {
			t.Error("something has arrived, and it would wait")
		}
		buf := make([]byte, 2)
		in.Read(buf)
		if in.WouldWait() {
			t.Error("a byte is left, and it would wait")
		}
		in.Read(buf)
		if !in.WouldWait() {
			t.Error("all is read, and it would not wait")
		}
		w.Close()
		synctest.Wait()
		if in.WouldWait() {
			t.Error("the end is a wait")
		}
	})
}

func TestAnInterruptEndsABlockedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		r, w := io.Pipe()
		defer w.Close()
		in := NewInput(ctx, r)
		go func() {
			w.Write([]byte("had arrived"))
			synctest.Wait()
			cancel(&Interrupt{syscall.SIGTERM})
		}()
		got, err := io.ReadAll(in)
		var i *Interrupt
		if string(got) != "had arrived" || !errors.As(err, &i) || i.Signal != syscall.SIGTERM || !Interrupted(err) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestAnInterruptEndsAnEndlessInput(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	in := NewInput(ctx, zeros{})
	if _, err := io.CopyN(io.Discard, in, 10<<20); err != nil {
		t.Fatal(err)
	}
	cancel(&Interrupt{os.Interrupt})
	if n, err := io.Copy(io.Discard, in); !Interrupted(err) || n > 16<<20 {
		t.Errorf("%d bytes more, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func BenchmarkInput(b *testing.B) {
	in := NewInput(b.Context(), zeros{})
	b.SetBytes(inputChunk)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := in.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
