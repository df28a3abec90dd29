"""What each command found, as frozen values. They know no renderer."""
