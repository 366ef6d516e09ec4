package tool

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// A Flag binds a name on the command line, and XP2P_NAME in the environment,
// to a variable. The variable's value when the flag is made is the default. The
// usage line may name its value in backquotes: "write to `DIR`".
type Flag struct {
	name  string
	short string
	usage string
	value *value
	noEnv bool
}

// Short gives the flag a one-letter name as well.
func (f Flag) Short(letter string) Flag {
	f.short = letter
	return f
}

// Bool is a flag without a value.
func Bool(p *bool, name, usage string) Flag {
	return newFlag(name, usage, &value{
		bool: true,
		set: func(s string) (err error) {
			if *p, err = strconv.ParseBool(s); err != nil {
				return errors.New("want true or false")
			}
			return nil
		},
		get: func() string {
			if *p {
				return "true"
			}
			return ""
		},
	})
}

// String takes any text.
func String(p *string, name, usage string) Flag {
	return newFlag(name, usage, &value{
		set: func(s string) error { *p = s; return nil },
		get: func() string { return *p },
	})
}

// Choice takes one of a few words.
func Choice(p *string, name, usage string, words ...string) Flag {
	f := newFlag(name, usage, &value{
		set: func(s string) error {
			for _, w := range words {
				if s == w {
					*p = s
					return nil
				}
			}
			return fmt.Errorf("want %s", strings.Join(words, ", "))
		},
		get:  func() string { return *p },
		word: strings.Join(words, "|"),
	})
	return f
}

// Int takes a whole number.
func Int(p *int, name, usage string) Flag {
	return newFlag(name, usage, &value{
		set: func(s string) error {
			n, err := strconv.Atoi(s)
			if err != nil {
				return errors.New("want a whole number")
			}
			*p = n
			return nil
		},
		get:  func() string { return strconv.Itoa(*p) },
		word: "N",
	})
}

// Uint64 takes a number such as a seed.
func Uint64(p *uint64, name, usage string) Flag {
	return newFlag(name, usage, &value{
		set: func(s string) error {
			n, err := strconv.ParseUint(s, 0, 64)
			if err != nil {
				return errors.New("want a number from 0 up")
			}
			*p = n
			return nil
		},
		get:  func() string { return strconv.FormatUint(*p, 10) },
		word: "N",
	})
}

// Duration takes a Go duration: 90s, 1m30s, 250ms. It is never negative.
func Duration(p *time.Duration, name, usage string) Flag {
	return newFlag(name, usage, &value{
		set: func(s string) error {
			d, err := time.ParseDuration(s)
			if err != nil || d < 0 {
				return errors.New("want a duration such as 250ms, 90s or 1m30s")
			}
			*p = d
			return nil
		},
		get:  func() string { return formatDuration(*p) },
		word: "DURATION",
	})
}

// Size takes bytes with an optional k, M, G: powers of 1024, as in head -c.
func Size(p *int64, name, usage string) Flag {
	return newFlag(name, usage, &value{
		set: func(s string) (err error) {
			n, err := ParseSize(s)
			if err == nil {
				*p = n
			}
			return err
		},
		get:  func() string { return formatScaled(*p, 1024) },
		word: "BYTES",
	})
}

// Rate takes bits per second with an optional k, M, G: powers of 1000, as
// everywhere in networking.
func Rate(p *int64, name, usage string) Flag {
	return newFlag(name, usage, &value{
		set: func(s string) error {
			n, err := ParseRate(s)
			if err == nil {
				*p = n
			}
			return err
		},
		get:  func() string { return formatScaled(*p, 1000) },
		word: "RATE",
	})
}

// Strings may be given several times; in the environment its values are
// separated by commas. What is given replaces the default.
func Strings(p *[]string, name, usage string) Flag {
	return newFlag(name, usage, &value{
		list:  true,
		reset: func() { *p = nil },
		set:   func(s string) error { *p = append(*p, s); return nil },
		get:   func() string { return strings.Join(*p, ",") },
	})
}

// Func hands each value to set, which says what is wrong with it. It may be
// given several times.
func Func(name, usage, defaultText string, set func(string) error) Flag {
	return newFlag(name, usage, &value{list: true, reset: func() {}, set: set, get: func() string { return defaultText }})
}

func newFlag(name, usage string, v *value) Flag {
	f := Flag{name: name, value: v}
	if i := strings.IndexByte(usage, '`'); i >= 0 {
		if j := strings.IndexByte(usage[i+1:], '`'); j >= 0 {
			v.word = usage[i+1 : i+1+j]
			usage = usage[:i] + v.word + usage[i+1+j+1:]
		}
	}
	if v.word == "" && !v.bool {
		v.word = "VALUE"
	}
	f.usage, v.name, v.start = usage, name, v.get()
	return f
}

// env is the flag's name in the environment.
func (f Flag) env() string {
	if f.noEnv {
		return ""
	}
	return "XP2P_" + strings.ToUpper(strings.ReplaceAll(f.name, "-", "_"))
}

// cli is the flag as urfave/cli wants it. Short names never get there: arrange
// has already replaced them, because urfave/cli sets a value again under each
// of its names, which would double a list.
func (f Flag) cli() cli.Flag {
	g := &cli.GenericFlag{Name: f.name, Usage: f.usage, Value: f.value}
	if e := f.env(); e != "" {
		g.EnvVars = []string{e}
	}
	return g
}
