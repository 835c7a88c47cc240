"""plan"""
def plan(analysis, findings): return tuple(findings), ()
