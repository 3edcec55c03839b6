package scheduler

import (
	"fmt"

	"go.uber.org/zap/zapcore"
)

// A Logger is a *zap.Logger. Package zap itself brings net/http along, which has no business in a scheduler, so that only
// the methods that are called here are asked for.
type Logger interface {
	Debug(msg string, fields ...zapcore.Field)
	Info(msg string, fields ...zapcore.Field)
	Warn(msg string, fields ...zapcore.Field)
	Error(msg string, fields ...zapcore.Field)
}

// log writes an entry, if there is a logger. An entry on which the logger panics is lost.
func (e *executor) log(write func(Logger)) {
	if e.o.Logger == nil {
		return
	}
	_ = guard("Options.Logger", func() error {
		write(e.o.Logger)
		return nil
	})
}

// field formats its value only if the entry is logged.
func field(key string, value fmt.Stringer) zapcore.Field {
	return zapcore.Field{Key: key, Type: zapcore.StringerType, Interface: value}
}

func text(key, value string) zapcore.Field {
	return zapcore.Field{Key: key, Type: zapcore.StringType, String: value}
}
