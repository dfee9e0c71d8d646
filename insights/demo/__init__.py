"""A believable IT organisation with thirty days behind it, so that the first look at Belay is a lively one."""
