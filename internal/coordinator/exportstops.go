package coordinator

import "context"

// listenDuringExport passes on stops until ctx ends: those that come while the run, which
// has ended, is exported. What came since Run stopped listening is stored.
func (l *Life) listenDuringExport(ctx context.Context) {
	cancel, err := l.listen(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.Logger.Warn("listening for stops during the last export failed", "error", err)
		}
		return
	}
	defer cancel()
	l.readStop(ctx)
	<-ctx.Done()
}
