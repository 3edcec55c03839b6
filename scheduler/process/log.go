package process

import (
	"fmt"

	"go.uber.org/zap/zapcore"

	"github.com/testdag/testdag/scheduler"
)

// A runLog logs about one run.
type runLog struct {
	to  scheduler.Logger // nil logs nothing
	run scheduler.Ref
}

func (l runLog) debug(msg, key string, value any) {
	if l.to != nil {
		l.to.Debug(msg, l.fields(key, value)...)
	}
}

func (l runLog) warn(msg, key string, value any) {
	if l.to != nil {
		l.to.Warn(msg, l.fields(key, value)...)
	}
}

func (l runLog) fields(key string, value any) []zapcore.Field {
	return []zapcore.Field{
		{Key: "run", Type: zapcore.StringerType, Interface: l.run},
		{Key: key, Type: zapcore.StringType, String: fmt.Sprint(value)},
	}
}
